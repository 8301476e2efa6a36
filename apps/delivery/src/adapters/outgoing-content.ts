/**
 * The content of one message on its way to a socket, with its final dot in one write where it is small. It ends early when something
 * comes from the peer meanwhile: nothing but a refusal, or the end, can.
 */
import type { Dialogue } from './dialogue.ts'
import { DotStuffing } from './dot-stuffing.ts'

/** What content asks of a dialogue. */
export type ContentDialogue = Pick<Dialogue, 'disturbed' | 'drained'> & {
  socket: Pick<Dialogue['socket'], 'cork' | 'uncork'> & { write(octets: Uint8Array): boolean }
}

/**
 * @param blockTimeoutMs how long the peer may take nothing
 * @param ending called before the final dot goes
 * @returns whether all of it was written, and the final dot
 * @throws what `body` throws, and DialogueOver; then the final dot was not written
 */
export async function sendContent(
  dialogue: ContentDialogue,
  body: AsyncIterable<Uint8Array>,
  blockTimeoutMs: number,
  ending: () => void,
): Promise<boolean> {
  const { socket } = dialogue
  const stuffing = new DotStuffing()
  const put = (pieces: readonly Uint8Array[]): boolean => pieces.reduce((_, piece) => socket.write(piece), true)
  socket.cork()
  try {
    for await (const chunk of body) {
      if (dialogue.disturbed) return false
      if (put(stuffing.next(chunk))) continue
      socket.uncork()
      await dialogue.drained(blockTimeoutMs)
      socket.cork()
    }
    if (dialogue.disturbed) return false
    ending()
    put([stuffing.end()])
    return true
  } finally {
    socket.uncork()
  }
}
