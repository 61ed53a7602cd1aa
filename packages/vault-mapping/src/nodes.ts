/** The addresses of a cluster's nodes, and which of them answered last. */
export interface Nodes {
  readonly size: number
  /** The one to ask first. */
  first(): string
  after(address: string): string
  answered(address: string): void
  failed(address: string): void
}

export function createNodes(addresses: readonly string[]): Nodes {
  let first = 0
  const after = (address: string): number => (addresses.indexOf(address) + 1) % addresses.length
  return {
    size: addresses.length,
    first: () => addresses[first] as string,
    after: (address) => addresses[after(address)] as string,
    answered(address) {
      first = addresses.indexOf(address)
    },
    failed(address) {
      // Another request may have found a better one meanwhile.
      if (addresses[first] === address) first = after(address)
    },
  }
}
