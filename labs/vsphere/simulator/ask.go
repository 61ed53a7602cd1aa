package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"net/url"
	"os"
	"reflect"
	"time"

	"github.com/vmware/govmomi/event"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

type loggedIn struct {
	Key       string    `json:"key"`
	UserName  string    `json:"userName"`
	LoginTime time.Time `json:"loginTime"`
}

type happened struct {
	Key      int32     `json:"key"`
	Type     string    `json:"type"`
	UserName string    `json:"userName"`
	At       time.Time `json:"at"`
	Message  string    `json:"message"`
}

// ask logs in with the login of standard input, asks one question, and logs out.
func ask(args []string) error {
	flags := flag.NewFlagSet("ask", flag.ExitOnError)
	address := flags.String("address", "", "the URL of the server")
	ca := flags.String("ca", "", "path of the authority's certificate in PEM")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var login struct{ Username, Password string }
	if err := json.NewDecoder(os.Stdin).Decode(&login); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	target, err := soap.ParseURL(*address)
	if err != nil {
		return err
	}
	transport := soap.NewClient(target, false)
	if err := transport.SetRootCAs(*ca); err != nil {
		return err
	}
	client, err := vim25.NewClient(ctx, transport)
	if err != nil {
		return err
	}
	sessions := session.NewManager(client)
	if err := sessions.Login(ctx, url.UserPassword(login.Username, login.Password)); err != nil {
		return err
	}
	defer sessions.Logout(context.Background())
	answer, err := answerTo(ctx, sessions, client, flags.Args())
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(answer)
}

func answerTo(ctx context.Context, sessions *session.Manager, client *vim25.Client, question []string) (any, error) {
	switch {
	case len(question) == 1 && question[0] == "sessions":
		return others(ctx, sessions, client)
	case len(question) == 1 && question[0] == "events":
		return events(ctx, client)
	case len(question) == 2 && question[0] == "terminate":
		return true, sessions.TerminateSession(ctx, []string{question[1]})
	}
	return nil, errors.New("ask sessions, events, or terminate <key>")
}

// others are all sessions but the one that asks.
func others(ctx context.Context, sessions *session.Manager, client *vim25.Client) ([]loggedIn, error) {
	own, err := sessions.UserSession(ctx)
	if err != nil {
		return nil, err
	}
	var manager mo.SessionManager
	if err := mo.RetrieveProperties(ctx, client, client.ServiceContent.PropertyCollector,
		*client.ServiceContent.SessionManager, &manager); err != nil {
		return nil, err
	}
	list := []loggedIn{}
	for _, s := range manager.SessionList {
		if own == nil || s.Key != own.Key {
			list = append(list, loggedIn{s.Key, s.UserName, s.LoginTime})
		}
	}
	return list, nil
}

func events(ctx context.Context, client *vim25.Client) ([]happened, error) {
	found, err := event.NewManager(client).QueryEvents(ctx, types.EventFilterSpec{MaxCount: 1000})
	if err != nil {
		return nil, err
	}
	list := []happened{}
	for _, base := range found {
		e := base.GetEvent()
		kind := reflect.TypeOf(base).Elem().Name()
		list = append(list, happened{e.Key, kind, e.UserName, e.CreatedTime, e.FullFormattedMessage})
	}
	return list, nil
}
