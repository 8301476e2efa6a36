/** @postbus/service — the skeleton every app passes control to. */
export * from './define.ts'
