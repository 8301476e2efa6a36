/**
 * Channel bindings of the server's side of a TLS session: octets both ends know and nobody between them can have.
 *
 * STANDARDS  RFC 9266 (tls-exporter), RFC 5929 §4 (tls-server-end-point)
 */
import { createHash } from 'node:crypto'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

/** RFC 9266 §2. */
const EXPORTER_LABEL = 'EXPORTER-Channel-Binding'
const EXPORTER_BYTES = 32

export function channelBinding(socket: Socket, type: string): Uint8Array | null {
  if (!(socket instanceof TLSSocket) || socket.destroyed) return null
  switch (type) {
    case 'tls-exporter':
      return exporter(socket)
    case 'tls-server-end-point':
      return serverEndPoint(socket)
    default:
      return null
  }
}

function exporter(socket: TLSSocket): Uint8Array | null {
  // RFC 9266 §3: before TLS 1.3 it is unique only with an extension we are not told of.
  if (socket.getProtocol() !== 'TLSv1.3') return null
  return socket.exportKeyingMaterial(EXPORTER_BYTES, EXPORTER_LABEL, Buffer.alloc(0))
}

/** The hash of our certificate, by the hash function it is signed with; SHA-256 instead of MD5 and SHA-1 — RFC 5929 §4.1. */
function serverEndPoint(socket: TLSSocket): Uint8Array | null {
  const certificate = socket.getX509Certificate()
  if (certificate === undefined) return null
  const algorithm = /sha(384|512)/i.exec(certificate.signatureAlgorithm ?? '')?.[1]
  return createHash(algorithm === undefined ? 'sha256' : `sha${algorithm}`)
    .update(certificate.raw)
    .digest()
}
