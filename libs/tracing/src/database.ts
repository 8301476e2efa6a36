/** Work on a database as a step: OpenTelemetry's semantic conventions for database spans. Statements are never told. */
import { SpanKind } from '@opentelemetry/api'

import type { StepOptions } from './step.ts'

/** @param location a file, or a postgres:// URL */
export const onDatabase = (location: string, operation: string): StepOptions => ({
  kind: SpanKind.CLIENT,
  attributes: {
    'db.system.name': /^postgres(ql)?:/.test(location) ? 'postgresql' : 'sqlite',
    'db.operation.name': operation,
  },
})
