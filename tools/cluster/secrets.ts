/** Where keys are kept: named sets of texts. Kubernetes' Secrets, or a map in a test. */
export type SecretData = Readonly<Record<string, string>>

export type SecretType = 'Opaque' | 'kubernetes.io/tls' | 'kubernetes.io/basic-auth'

export interface Secrets {
  get(name: string): Promise<SecretData | undefined>
  /** @returns false when somebody else made it first; what they made stands */
  create(name: string, data: SecretData, type?: SecretType): Promise<boolean>
  /** Of one that exists: the whole of it. */
  replace(name: string, data: SecretData): Promise<void>
}

/** What is there stays as it is: a key that changed would lock its owner out. */
export async function ensure(
  secrets: Secrets,
  name: string,
  make: () => SecretData | Promise<SecretData>,
  type?: SecretType,
): Promise<{ data: SecretData; made: boolean }> {
  for (;;) {
    const known = await secrets.get(name)
    if (known !== undefined) return { data: known, made: false }
    const data = await make()
    if (await secrets.create(name, data, type)) return { data, made: true }
  }
}

/** What follows from other things is made to follow again. @returns whether it had to change */
export async function follow(secrets: Secrets, name: string, data: SecretData, type?: SecretType): Promise<boolean> {
  const known = await secrets.get(name)
  if (known !== undefined && isSame(known, data)) return false
  if (known !== undefined || !(await secrets.create(name, data, type))) await secrets.replace(name, data)
  return true
}

const isSame = (a: SecretData, b: SecretData): boolean =>
  Object.keys(a).length === Object.keys(b).length && Object.entries(b).every(([key, value]) => a[key] === value)
