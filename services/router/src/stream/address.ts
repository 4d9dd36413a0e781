/** Origin, and the path before the protocol's own, of a registered endpoint. It must be a URL. */
export const addressOf = (endpoint: string): { readonly origin: string; readonly base: string } => {
  const url = new URL(endpoint);
  return { origin: url.origin, base: url.pathname.replace(/\/+$/, '') };
};
