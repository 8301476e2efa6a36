/** @postbus/intake — queue id, Received, spool record, event: the one way a message becomes ours. */
export {
  createIntake,
  intakeDefaults,
  type Incoming,
  type Intake,
  type IntakeLimits,
  type IntakeOptions,
} from './intake.ts'
export { intakeTable } from './metrics.ts'
export type { Client } from './received.ts'
export { queueIds } from './queue-id.ts'
export { intakeSettings, openIntake, type IntakeService, type IntakeSettings } from './settings.ts'
