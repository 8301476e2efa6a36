/**
 * @postbus/service — the skeleton every app passes control to: settings, log, metrics, health, signals, close in reverse.
 * One service in a process or many, the same code.
 */
export * from './define.ts'
export { commonMetrics } from './metrics.ts'
export { runService, runServices, type Run } from './run.ts'
export { commonConfig, readSettings, type CommonConfig, type Environment, type SettingsResult } from './settings.ts'
