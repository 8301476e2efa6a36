/** @postbus/directory-client — questions to the directory that several services ask in the same way. */
export { resolverOver, type Resolver, type ResolverOptions } from './resolve.ts'
export { findRecipient, type RecipientFinding } from './find-recipient.ts'
export { resolverOptions, resolverSettings, type ResolverSettings } from './settings.ts'
export { directoryLogins, type Granted, type LoginClient } from './logins.ts'
