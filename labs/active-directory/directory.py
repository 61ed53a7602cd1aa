#!/usr/bin/python3
"""Makes a Samba Active Directory domain, changes accounts of one, exports keytabs.

Reads a JSON object from standard input, with the members, in the order in which they are done:
  folder      where smb.conf is; everything of the domain lies there
  provision   {realm, workgroup, address, password}: make the domain
  create      accounts to make, in the vocabulary of accounts.ts
  change      [[sAMAccountName, changes]…], in the same vocabulary
  keytabs     {path: [principal…]}: keytabs to write, in place of what is there
Prints {"domainSid": …, "sids": {sAMAccountName: SID}} of the accounts that were created.

Runs with Debian's /usr/bin/python3, where Samba's bindings are, and needs no privilege.
"""
import json
import logging
import os
import sys

request = json.load(sys.stdin)
FOLDER = request['folder']
os.environ['TDB_NO_FSYNC'] = '1'  # a lab is thrown away: what a crash of the machine would lose is of no interest

import ldb
import samba.dckeytab  # adds Net.export_keytab
from samba import dsdb, param
from samba.auth import system_session
from samba.dcerpc import security
from samba.ndr import ndr_pack, ndr_unpack
from samba.net import Net
from samba.provision import provision
from samba.samdb import SamDB

AES = '24'
LONG_AGO = '131592384000000000'  # 2018-01-01 in units of 100 ns since 1601
NEVER = '9223372036854775807'
LOCKED_AT = '200000000000000000'  # in 2234, so that the lockout does not end while the domain lies in a cache
FLAGS = {
    'disabled': dsdb.UF_ACCOUNTDISABLE,
    'sensitive': dsdb.UF_NOT_DELEGATED,
    'protocolTransition': dsdb.UF_TRUSTED_TO_AUTHENTICATE_FOR_DELEGATION,
}


def loadparm():
    lp = param.LoadParm()
    lp.load(FOLDER + '/smb.conf')
    return lp


def make_domain(realm, workgroup, address, password):
    log = logging.getLogger('provision')
    log.addHandler(logging.FileHandler(FOLDER + '/log/provision.log'))
    log.setLevel(logging.INFO)
    provision(log, system_session(), smbconf=FOLDER + '/smb.conf', lp=loadparm(), realm=realm, domain=workgroup,
              hostname='dc1', hostip=address, hostip6=None, serverrole='dc', dns_backend='NONE', adminpass=password,
              dom_for_fun_level=dsdb.DS_DOMAIN_FUNCTION_2008_R2, skip_sysvolacl=True, plaintext_secrets=True,
              batch_mode=True)


if 'provision' in request:
    make_domain(**request['provision'])
lp = loadparm()
sam = SamDB(url=lp.samdb_url(), session_info=system_session(), lp=lp)
base = str(sam.domain_dn())
realm = lp.get('realm')
dns = realm.lower()


def find(name, *attrs):
    found = sam.search(base, expression='(sAMAccountName=%s)' % ldb.binary_encode(name), attrs=list(attrs))
    if len(found) != 1:
        raise SystemExit('there is no account %r' % name)
    return found[0]


def sid_of(name):
    return ndr_unpack(security.dom_sid, find(name, 'objectSid')['objectSid'][0])


def replace(name, attribute, values):
    message = ldb.Message(find(name).dn)
    message[attribute] = ldb.MessageElement(values, ldb.FLAG_MOD_REPLACE, attribute)
    sam.modify(message)


def replace_all(name, attribute, values):
    """Values of which there may be none; Samba refuses to replace a UPN by nothing, and to remove what is not there."""
    if values:
        replace(name, attribute, values)
    elif attribute in find(name, attribute):
        message = ldb.Message(find(name).dn)
        message[attribute] = ldb.MessageElement([], ldb.FLAG_MOD_DELETE, attribute)
        sam.modify(message)


def descriptor_for(names):
    aces = ''.join('(A;;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;%s)' % sid_of(name) for name in names)
    return ndr_pack(security.descriptor.from_sddl('O:BAG:BAD:' + aces, sam_sid()))


def sam_sid():
    return security.dom_sid(sam.get_domain_sid())


def create(account):
    """The bare account; everything else of it is a change."""
    name, kind = account['name'], account['kind']
    if kind == 'group':
        sam.add({'dn': 'CN=%s,CN=Users,%s' % (name, base), 'objectClass': 'group', 'sAMAccountName': name})
        return
    message = {'clearTextPassword': account.pop('password').encode('utf-16-le')}
    if kind == 'computer':
        message.update({'dn': 'CN=%s,CN=Computers,%s' % (name, base), 'objectClass': 'computer',
                        'sAMAccountName': name + '$', 'dNSHostName': '%s.%s' % (name.lower(), dns),
                        'userAccountControl': str(dsdb.UF_WORKSTATION_TRUST_ACCOUNT),
                        'msDS-SupportedEncryptionTypes': AES})
    else:
        message.update({'dn': 'CN=%s,CN=Users,%s' % (name, base), 'objectClass': 'user', 'sAMAccountName': name,
                        'userAccountControl': str(dsdb.UF_NORMAL_ACCOUNT | dsdb.UF_DONT_EXPIRE_PASSWD),
                        'mail': '%s@%s' % (name, dns)})
        if account.get('userPrincipalName', '') == '':
            message['userPrincipalName'] = '%s@%s' % (name, dns)
    sam.add(message)


def name_services_of_controller():
    """Windows registers these when it becomes a controller; without the DNS back end Samba does not."""
    present = {str(spn) for spn in find('DC1$', 'servicePrincipalName')['servicePrincipalName']}
    spns = {'ldap/dc1.' + dns, 'ldap/DC1', 'ldap/dc1.%s/%s' % (dns, dns), 'cifs/dc1.' + dns}
    replace_all('DC1$', 'servicePrincipalName', sorted(present | spns))


def change(name, changes):
    flags = wanted = int(str(find(name, 'userAccountControl').get('userAccountControl', '0')))
    for key, flag in FLAGS.items():
        if key in changes:
            wanted = wanted | flag if changes[key] else wanted & ~flag
    if changes.get('mustChangePassword'):
        wanted &= ~dsdb.UF_DONT_EXPIRE_PASSWD  # which would hide it
    if wanted != flags:
        replace(name, 'userAccountControl', str(wanted))
    if 'password' in changes:
        replace(name, 'clearTextPassword', changes['password'].encode('utf-16-le'))
    if 'mustChangePassword' in changes:
        replace(name, 'pwdLastSet', '0' if changes['mustChangePassword'] else '-1')
    if 'expired' in changes:
        replace(name, 'accountExpires', LONG_AGO if changes['expired'] else NEVER)
    if 'locked' in changes:
        replace(name, 'lockoutTime', LOCKED_AT if changes['locked'] else '0')
    if 'userPrincipalName' in changes:
        upn = changes['userPrincipalName']
        replace_all(name, 'userPrincipalName', [] if upn is None else [upn])
    if 'servicePrincipalNames' in changes:
        replace_all(name, 'servicePrincipalName', changes['servicePrincipalNames'])
        replace(name, 'msDS-SupportedEncryptionTypes', AES)
    if 'delegatesTo' in changes:
        replace_all(name, 'msDS-AllowedToDelegateTo', changes['delegatesTo'])
    if 'accepts' in changes:
        replace(name, 'msDS-AllowedToActOnBehalfOfOtherIdentity', [descriptor_for(changes['accepts'])])
    for key, adds in (('join', True), ('leave', False)):
        for group in changes.get(key, []):
            sam.add_remove_group_members(group, [name], add_members_operation=adds)
    if 'rename' in changes:
        new = changes['rename']
        replace(name, 'sAMAccountName', new)
        if 'userPrincipalName' in find(new, 'userPrincipalName'):
            replace(new, 'userPrincipalName', '%s@%s' % (new, dns))
    if changes.get('deleted'):
        sam.delete(find(name).dn)


def main():
    created = request.get('create', [])
    names = [account['name'] + ('$' if account['kind'] == 'computer' else '') for account in created]
    sam.transaction_start()
    if 'provision' in request:
        name_services_of_controller()
    for account in created:
        create(account)
    for account, name in zip(created, names):
        change(name, account)
    for name, changes in request.get('change', []):
        change(name, changes)
    sam.transaction_commit()
    net = Net(None, lp)
    for path, principals in request.get('keytabs', {}).items():
        if os.path.exists(path):
            os.unlink(path)
        for principal in principals:
            net.export_keytab(keytab=path, principal=principal)
    print(json.dumps({'domainSid': str(sam_sid()), 'sids': {name: str(sid_of(name)) for name in names}}))


main()
