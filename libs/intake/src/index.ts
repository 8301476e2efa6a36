/** @postbus/intake — the one way a message becomes ours: header checks, trace, spool record, event. */
export {
  createIntake,
  intakeDefaults,
  type Incoming,
  type Intake,
  type IntakeMetrics,
  type IntakeOptions,
} from './intake.ts'
export { queueIds } from './queue-id.ts'
export { receivedField, type Client } from './received.ts'
