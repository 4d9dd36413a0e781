/** Where replies to one user go: its own prefix, so that no other user of the account can listen in. */
export const inboxPrefix = (user: string): string => `_INBOX_${user.replaceAll(/[^A-Za-z0-9_-]/g, '_')}`;

/** Whether a reply may go there. */
export const isInbox = (subject: string | undefined): boolean => subject !== undefined && /^_INBOX[._]/.test(subject);
