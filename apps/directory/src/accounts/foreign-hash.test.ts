import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { foreignVerifier } from './foreign-hash.ts'

const PASSWORD = 'pāss wörd 7'

/** Made by `doveadm pw` of Dovecot 2.3 from the password above. */
const hashes = [
  '{MD5-CRYPT}$1$yKzluyWo$jMfS3wB7HvuqGHYbj5wRG1',
  '{SHA256-CRYPT}$5$iGjm.P8/RfPjVRZS$Z930usa.OFF0YS/9k7eJcyBWxuBhcoRol9dQ2x24CaC',
  '{SHA512-CRYPT}$6$MXSJOHb2Y3ryvC6W$jwe3NCooZSXl9ug582haV9Stt2VJ25Tsx0dTdG919Dcse6WUPatadAZ5nYWB.zAfgoV7GTbna8yBpEqFx6RIJ0',
  '{BLF-CRYPT}$2y$05$w5BHDvQNK.ftM3FYcJThAO1tWJ./QuLF9uIloTBngONuT/3PEGm4y',
  '{CRYPT}$2y$05$u3UcSyIfnh/zwoRsi2fYMeDogzN4rWw/etnQl/7kzqPwZ4414E2/2',
  '{SSHA}M7uKDo65ohO8r0lQH0NXRSMQw+QlJRBp',
  '{SSHA256}yM3FmQaZFUMErt5r5avc271jV7ipV6QrR/9a2QJUtrKRNcoE',
  '{SSHA512}rWdrB9bng0ysY3Hr0/Y5eQGMiaSHByse9embP5arnVVFqbp2nt18i1bUjWLf6+5/iuTwwcuUUkmdu/43rYuTW9fE3wo=',
  '{SMD5}yWhYrjFR2vXjmr6FSEiauU/0H9I=',
  '{PLAIN-MD5}04281da4e1d468b745cf33b0eab9cbd0',
  '{LDAP-MD5}BCgdpOHUaLdFzzOw6rnL0A==',
  '{SHA256}WjdSFwGkeOzHoQxm0Nwq2Kjp6YZb05f6b90/+LQ9CXE=',
  '{SHA256.HEX}5a37521701a478ecc7a10c66d0dc2ad8a8e9e9865bd397fa6fdd3ff8b43d0971',
  '{SHA512}qKTrvmJObLg+uyeRcxGQaIWx3urif5KtPo67EwCRvwiRAHHm+iV+bnEAhQSxT0IR6At/dCQRwhfqaDPbUHtW8A==',
  '{PBKDF2}$1$KeJKjFXq6949rLuR$5000$18c97c4d90b42d82ca64963adbe66afff7b8eae5',
  '{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$T7zfIWbR3S9oJ25+hMuIkw$cQQC/dejiIWD53cgo7ZR/Kq8VpMrMw0cJ3B+17FT4Fo',
  '{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$FsYXEqy3zzU95AHhpcfV5g$YnduC3hChNLMbpNYd/chsETV1rYArRrd6J3+uD529e0',
  '{SCRAM-SHA-256}4096,jLd8zvQ5biSWzfVjS0GmmA==,6sTchz8AltF0T+/sqmx7oW/BBcXP0p9juSTJOyuAtx4=,KdbuMBn+HefA0ovrU/zUDP4qN0Y7gZre6CPZNvl4qd4=',
]

describe('a hash of another system', () => {
  it('lets in its password and no other, in every scheme of Dovecot that is known', async () => {
    for (const hash of hashes) {
      const verify = foreignVerifier(hash)
      assert.ok(verify, hash)
      assert.equal(await verify(PASSWORD), true, hash)
      assert.equal(await verify('pass word 7'), false, hash)
    }
  })

  it('needs no scheme before it where it is a crypt string, as in a passwd file', async () => {
    const crypts = [
      '$apr1$abcdefgh$xsRv4Pb1j8/w.cKs1sQ8R0',
      '$6$rounds=10000$saltsalt$myCdjECUj8E0sT7YjGj6HOeAX8A7OjxDv6/ShOB5qxUuy3sdwS9p4ITU7MgvyNPVPUw1awIlgJ5GvllZlKPdn1',
      '$2y$05$abcdefghijklmnopqrstuu2yMJv16a8bSQbd0ieXdBaPcCRrmSLf6',
    ]
    for (const hash of crypts) {
      assert.equal(await foreignVerifier(hash)?.('secret 7'), true, hash)
      assert.equal(await foreignVerifier(hash)?.('secret 8'), false, hash)
    }
  })

  it('is not taken where no password could ever be tried on it', () => {
    const refused = [
      '$y$j9T$abcdefgh$STO4XS12oXOZBSQ/TWVDru73PSj6StUjB9zR8Cw//nC', // yescrypt
      '{CRYPT}ab1Kx9Q2GqPZE', // DES
      '{PLAIN}secret',
      '{NTLM}0cb6948805f797bf2a82807973b89537',
      '{SSHA}AAAA',
      '$6$rounds=99999999$saltsalt$myCdjECUj8E0sT7YjGj6HOeAX8A7OjxDv6',
      '$2y$31$abcdefghijklmnopqrstuu2yMJv16a8bSQbd0ieXdBaPcCRrmSLf6',
      'secret',
      '',
    ]
    for (const hash of refused) assert.equal(foreignVerifier(hash), null, hash)
  })
})
