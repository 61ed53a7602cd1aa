/** SDK v1 and fastmcp name this type of the DOM, which Node's types leave out. */
type HeadersInit = NonNullable<RequestInit['headers']>
