/**
 * A request answered with any number of rows: frames of at most 256 KiB, paid for with credit.
 *
 * The asker may be owed so many bytes and grants more as it consumes; an answerer without credit stops producing. So a reader
 * that stops reading holds its own rows back and nobody else's, on a connection that thousands share. Frames are numbered: one
 * that is lost (a broken connection) ends the rows with an error, never with a gap.
 *
 *   asker → subject of the contract    the input; reply: where frames go
 *   answerer → there                   frame: type, number, part of the records; reply: where credit goes
 *   asker → there                      grant: bytes granted so far in all; 0 means stop
 *
 * Both answer the other's reply subject, so neither needs a permission beyond answering. A grant repeated every few seconds says
 * that the asker is alive; an answerer that hears nothing while it waits for credit gives up.
 */

/** A frame carries at most this much of the records. */
export const FRAME_BYTES = 256 * 1024
/** Owed to one asker at most: two frames, so that one is on its way while the other is read. */
export const WINDOW_BYTES = 2 * FRAME_BYTES
/** Every frame costs this much beside its bytes, so that many tiny ones are bounded too. */
const FRAME_COST = 512
/** The asker says that it lives. */
export const ALIVE_MS = 10_000
/** An answerer out of credit that hears nothing for so long has lost its asker. */
export const GONE_MS = 35_000
/** Granted in place of an amount: the asker wants no more. */
export const STOP = 0

const HEADER_BYTES = 5
const frameTypes = { data: 0, end: 1 } as const

export type FrameType = keyof typeof frameTypes

export const costOf = (bytes: number): number => bytes + FRAME_COST

export function encodeFrame(type: FrameType, number: number, content: readonly Uint8Array[]): Uint8Array {
  const header = Buffer.allocUnsafe(HEADER_BYTES)
  header.writeUInt8(frameTypes[type])
  header.writeUInt32BE(number, 1)
  return Buffer.concat([header, ...content])
}

/** @returns null for what is no frame */
export function decodeFrame(data: Uint8Array): { type: FrameType; number: number; content: Uint8Array } | null {
  const view = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  if (view.length < HEADER_BYTES) return null
  const type = view.readUInt8() === frameTypes.end ? 'end' : 'data'
  return { type, number: view.readUInt32BE(1), content: view.subarray(HEADER_BYTES) }
}
