/**
 * @postbus/testkit/power-loss — proves that what is called durable is: a file system that records every operation, and the
 * trees a machine could show after it lost power behind any of them. Linux, as root, with /dev/fuse and libfuse3.
 */
export { CrashModel } from './crash-model.ts'
export { type Entry, readLog } from './operation-log.ts'
export { type Durable, isAvailable, keptAfterPowerLoss } from './kept-after-power-loss.ts'
export { mountRecordingFs, type RecordingFs } from './recording-fs.ts'
