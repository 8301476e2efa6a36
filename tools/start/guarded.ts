/**
 * How a server that is not ours is started: it must not outlive us and cannot notice our end by itself, so a shell holds our pipe for
 * it, whose end stops the server. Killed alone, the server ends the shell and is started again like everybody.
 */
import type { ChildSpec } from './supervisor.ts'

/** @param signal what the server takes for "stop now, and tidily" */
export const guarded = (
  command: string,
  args: readonly string[],
  signal: 'TERM' | 'INT',
): Pick<ChildSpec, 'command' | 'args' | 'lifeline'> => ({
  command: '/bin/sh',
  args: [
    '-c',
    `exec 3<&0; "$@" & server=$!; (read -r _ <&3; kill -${signal} "$server" 2>/dev/null) & wait "$server"`,
    ...['sh', command, ...args],
  ],
  lifeline: 'stdin',
})
