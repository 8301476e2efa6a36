/** What `checkAccount` looks at: the storage, and the bytes it names. */
import { type Blobs, NoSuchBlob } from '@postbus/blobs'
import type { AccountId } from '@postbus/contracts'

import type { CheckPorts } from '../mailbox/check-account.ts'
import { prepareHeld, prepareLarge } from '../mailbox/prepare.ts'
import type { ContentToCheck, FetchPageOf, MailStorage, Repair } from '../mailbox/storage.ts'

export function checkPorts(
  storage: Pick<MailStorage, 'read'>,
  blobs: Pick<Blobs, 'size' | 'read'>,
  repair: (what: Repair) => Promise<void>,
): CheckPorts {
  async function* heldOctets(account: AccountId, mailbox: number, uid: number, { prefixSize }: ContentToCheck) {
    const page = await storage.read('fetch', {
      ...{ account, mailbox, uids: [[uid, uid]], changedSince: null },
      want: { ...NOTHING, sections: [{ part: '', kind: 'all' }] },
    })
    if (!page?.octets || page.page.uids.length === 0) throw new Error(`message ${uid} went while it was looked at`)
    yield page.octets.subarray(prefixSize)
  }

  return {
    read: (kind, input) => storage.read(kind, input),
    repair,
    async blobSize(key) {
      try {
        return await blobs.size(key)
      } catch (cause) {
        if (cause instanceof NoSuchBlob) return null
        throw cause
      }
    },
    async recompute(account, mailbox, uid, content) {
      const { blob, size } = content
      if (blob === null) return prepareHeld(heldOctets(account, mailbox, uid, content), size, null)
      return prepareLarge(blobs.read(blob.key, { offset: blob.offset, length: size }), null, blob)
    },
  }
}

/** For whoever asks for a little. */
export const NOTHING: FetchPageOf['want'] = {
  ...{ flags: false, internalDate: false, size: false, envelope: false, structure: false, saveDate: false },
  ...{ basicStructure: false, emailId: false, preview: false },
  sections: [],
}
