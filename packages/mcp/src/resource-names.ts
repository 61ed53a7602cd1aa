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
  /** Of a template, by its text; undefined where there is none. */
  ofTemplate(uriTemplate: string): string | undefined
}

/**
 * The resources of one server. Whoever moves or renames one twice, or removes it afterwards, leaves it in the SDK where it
 * was in between, too: the SDK only knows the first of its places.
 */
export function resourceNames(): ResourceNames {
  const fixed = new Map<string, string>()
  /** By name, in the order in which the SDK goes through its own. */
  const templates: Record<string, { target: Template }> = Object.create(null)

  function whenUpdated(registered: Registration, follow: Registration['update']): void {
    const { update } = registered
    registered.update = (updates) => {
      update(updates)
      follow(updates)
    }
  }

  const matching = (accepts: (template: Template) => unknown): string | undefined =>
    Object.entries(templates).find(([, { target }]) => accepts(target))?.[0]

  return {
    add(name, target, registered) {
      if (typeof target === 'string') {
        fixed.set(target, name)
        whenUpdated(registered, ({ uri }) => {
          if (uri === undefined || uri === target) return
          fixed.delete(target)
          if (uri) fixed.set(uri, name)
        })
      } else {
        const held = { target }
        templates[name] = held
        whenUpdated(registered, ({ name: renamed, template }) => {
          if (template !== undefined) held.target = template
          if (renamed === undefined || renamed === name) return
          delete templates[name]
          if (renamed) templates[renamed] = held
        })
      }
    },
    of(uri) {
      // The form in which the SDK looks for it.
      const plain = URL.canParse(uri) ? new URL(uri).href : uri
      return fixed.get(plain) ?? matching(({ uriTemplate }) => uriTemplate.match(plain)) ?? fixed.get(uri) ?? uri
    },
    ofTemplate: (text) => matching(({ uriTemplate }) => uriTemplate.toString() === text),
  }
}
