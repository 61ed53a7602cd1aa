/** A URI template, as both generations of the SDK have it. */
interface Template {
  readonly uriTemplate: { match(uri: string): unknown; toString(): string }
}

/** What `registerResource` answers: it can be moved, renamed and removed. */
interface Registration {
  update(updates: { uri?: string | null; name?: string | null; template?: Template }): void
}

/** Under which name a resource is registered. What nobody registered goes by its URI. */
export interface ResourceNames {
  /** Follows what becomes of the registration, too. */
  add(name: string, target: string | Template, registered: Registration): void
  /** Of the resource that answers for a URI: the one with this URI, else the first template that it matches. */
  of(uri: string): string
  /** Of a template, by its text. */
  ofTemplate(uriTemplate: string): string
}

/** The resources of one server. */
export function resourceNames(): ResourceNames {
  const fixed = new Map<string, string>()
  /** By name, in the order in which the SDK goes through its own. */
  const templates: Record<string, Template> = Object.create(null)

  function whenUpdated(registered: Registration, follow: Registration['update']): void {
    const { update } = registered
    registered.update = (updates) => {
      update(updates)
      follow(updates)
    }
  }

  const matching = (accepts: (template: Template) => unknown): string | undefined =>
    Object.entries(templates).find(([, template]) => accepts(template))?.[0]

  return {
    add(name, target, registered) {
      if (typeof target === 'string') {
        let known = target
        fixed.set(known, name)
        whenUpdated(registered, ({ uri }) => {
          if (uri === undefined) return
          fixed.delete(known)
          if (uri === null) return
          fixed.set(uri, name)
          known = uri
        })
      } else {
        let known = name
        templates[known] = target
        whenUpdated(registered, ({ name: renamed, template = templates[known] }) => {
          if (template === undefined) return
          if (renamed !== undefined && renamed !== known) delete templates[known]
          known = renamed ?? known
          if (renamed !== null) templates[known] = template
        })
      }
    },
    of(uri) {
      // The form in which the SDK looks for it.
      const plain = URL.canParse(uri) ? new URL(uri).href : uri
      return fixed.get(plain) ?? matching(({ uriTemplate }) => uriTemplate.match(plain)) ?? fixed.get(uri) ?? uri
    },
    ofTemplate: (text) => matching(({ uriTemplate }) => uriTemplate.toString() === text) ?? text,
  }
}
