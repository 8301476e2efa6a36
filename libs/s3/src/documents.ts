/** The XML documents of S3 that we read and write. What is missing in one reads as ''. */
import { XMLParser } from 'fast-xml-parser'

import { S3Unavailable } from './errors.ts'

const LISTS = new Set(['Contents', 'Upload', 'Error'])

const parser = new XMLParser({
  parseTagValue: false, // A key may look like a number.
  ignoreAttributes: true,
  processEntities: true,
  isArray: (name) => LISTS.has(name),
})

/** One element: its text, its children by name, or a list of those that may come several times. */
type Element = string | { readonly [name: string]: Element } | readonly Element[]

function childOf(element: Element | undefined, name: string): Element | undefined {
  return typeof element === 'object' && !Array.isArray(element)
    ? (element as { [name: string]: Element })[name]
    : undefined
}

function text(element: Element | undefined, name: string): string {
  const child = childOf(element, name)
  return typeof child === 'string' ? child : ''
}

function list(element: Element | undefined, name: string): readonly Element[] {
  const child = childOf(element, name)
  return Array.isArray(child) ? child : []
}

/** The root element, whatever its name. @throws S3Unavailable for what is no XML: something in between answered */
function root(document: Buffer): Element {
  try {
    const parsed: Record<string, Element> = parser.parse(document)
    return Object.entries(parsed).find(([name]) => name !== '?xml')?.[1] ?? ''
  } catch (cause) {
    throw new S3Unavailable('the answer is no XML', { cause })
  }
}

export interface ErrorDocument {
  code: string
  message: string
}

/** Null where the document says no error. An answer without a document is none either. */
export function errorIn(document: Buffer): ErrorDocument | null {
  if (!document.includes('<Error')) return null
  const parsed: Record<string, Element> = parser.parse(document)
  const [error] = list(parsed, 'Error')
  return error === undefined ? null : { code: text(error, 'Code'), message: text(error, 'Message') }
}

export interface Listed {
  key: string
  size: number
  modifiedAt: Date
}

/** ListObjectsV2. */
export function objectsIn(document: Buffer): { objects: Listed[]; next: string | null } {
  const result = root(document)
  const objects = list(result, 'Contents').map((entry) => ({
    key: text(entry, 'Key'),
    size: Number(text(entry, 'Size')),
    modifiedAt: new Date(text(entry, 'LastModified')),
  }))
  return { objects, next: text(result, 'IsTruncated') === 'true' ? text(result, 'NextContinuationToken') : null }
}

export interface ListedUpload {
  key: string
  uploadId: string
  begunAt: Date
}

/** ListMultipartUploads. */
export function uploadsIn(document: Buffer): {
  uploads: ListedUpload[]
  next: { key: string; uploadId: string } | null
} {
  const result = root(document)
  const uploads = list(result, 'Upload').map((entry) => ({
    key: text(entry, 'Key'),
    uploadId: text(entry, 'UploadId'),
    begunAt: new Date(text(entry, 'Initiated')),
  }))
  const more = text(result, 'IsTruncated') === 'true'
  return {
    uploads,
    next: more ? { key: text(result, 'NextKeyMarker'), uploadId: text(result, 'NextUploadIdMarker') } : null,
  }
}

/** CreateMultipartUpload. @throws S3Unavailable */
export function uploadIdIn(document: Buffer): string {
  const uploadId = text(root(document), 'UploadId')
  if (uploadId === '') throw new S3Unavailable('an upload was begun without an id')
  return uploadId
}

/** DeleteObjects, asked quietly: what could not be deleted. */
export const undeletedIn = (document: Buffer): ErrorDocument[] =>
  list(root(document), 'Error').map((error) => ({ code: text(error, 'Code'), message: text(error, 'Message') }))

/** Our keys, and what S3 names parts by, need no more. */
const escaped = (value: string): string =>
  value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')

export function deleteDocument(keys: readonly string[]): Buffer {
  const objects = keys.map((key) => `<Object><Key>${escaped(key)}</Key></Object>`).join('')
  return Buffer.from(`<Delete><Quiet>true</Quiet>${objects}</Delete>`)
}

export function completeDocument(parts: readonly { number: number; etag: string }[]): Buffer {
  const all = [...parts]
    .sort((a, b) => a.number - b.number)
    .map(({ number, etag }) => `<Part><PartNumber>${number}</PartNumber><ETag>${escaped(etag)}</ETag></Part>`)
  return Buffer.from(`<CompleteMultipartUpload>${all.join('')}</CompleteMultipartUpload>`)
}
