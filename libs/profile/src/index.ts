/** @postbus/profile — the data directory of an embedded profile. */
export { DataDirectoryInUse, holderOf, LOCK_FILE, lockDataDirectory } from './data-lock.ts'
export { type DataLayout, databasePath, layoutOf } from './layout.ts'
export { InstanceSettings, instanceSettings, OperatorAccess } from './files.ts'
export { generatedPassword } from './generated-password.ts'
