import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { type Contract, contracts, schemasOf, subjectOf } from '@postbus/contracts'
import { z } from 'zod'

import { lastRelease } from './release.ts'
import { samplesOf } from './samples.ts'

const release = await lastRelease()
const now = new Map<string, Contract>(
  contracts.map((contract) => [`${contract.name} ${subjectOf(contract)}`, contract]),
)
const both = release.contracts.flatMap((before) => {
  const after = now.get(`${before.name} ${before.subject}`)
  return after === undefined ? [] : schemasOf(after).map(([said, schema]) => ({ before, said, schema }))
})

describe(`while services of release ${release.version} and of this code run side by side`, () => {
  it('every subject of the release is still spoken', () => {
    const gone = release.contracts.filter(({ name, subject }) => !now.has(`${name} ${subject}`))
    assert.deepEqual(
      gone.map(({ name, subject }) => `${name} on ${subject}`),
      [],
    )
  })

  it('what the release writes is read', () => {
    for (const { before, said, schema } of both) {
      for (const sample of before.said[said]?.samples ?? []) {
        const { error } = schema.safeParse(sample)
        assert.equal(error, undefined, `${before.name}, ${said}: ${JSON.stringify(sample)}`)
      }
    }
  })

  it('what is written now is read by the release', () => {
    for (const { before, said, schema } of both) {
      const written = before.said[said]
      assert.ok(written, `${before.name}: the release knows no ${said}`)
      const theirs = z.fromJSONSchema(written.schema)
      for (const sample of samplesOf(schema, 5)) {
        const { error } = theirs.safeParse(sample)
        assert.equal(error, undefined, `${before.name}, ${said}: ${JSON.stringify(sample)}`)
      }
    }
  })
})
