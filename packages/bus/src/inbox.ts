/** Where replies to one user go: its own prefix, so that no other user of the account can listen in. */
export const inboxPrefix = (user: string): string => `_INBOX_${user.replaceAll(/[^A-Za-z0-9_-]/g, '_')}`;
