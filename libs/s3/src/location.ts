/** `s3://bucket/prefix`: where a store's objects are. */
export interface S3Location {
  bucket: string
  /** What the keys begin with: '' or something that ends in a slash. */
  prefix: string
}

/** Amazon's rules for names, without the dots that no certificate covers. */
const LOCATION = /^s3:\/\/([a-z0-9][a-z0-9-]{1,61}[a-z0-9])((?:\/[A-Za-z0-9._-]+)*)\/?$/

export const isS3 = (location: string): boolean => location.startsWith('s3://')

/** @throws TypeError */
export function s3Location(location: string): S3Location {
  const [, bucket, path = ''] = LOCATION.exec(location) ?? []
  if (bucket === undefined || /\/\.\.?(\/|$)/.test(path)) throw new TypeError(`not s3://bucket/prefix: ${location}`)
  return { bucket, prefix: path === '' ? '' : `${path.slice(1)}/` }
}
