/** COMPRESS — RFC 4978 §3. After login only: before it there is nothing worth compressing, and much to attack. */
import { afterLogin } from '../command.ts'
import { bad, no } from '../reply.ts'

export const compress = afterLogin({
  name: 'COMPRESS',
  updates: 'none',
  parse: (args) => args.space().keyword('a compression mechanism'),
  run: async ({ session }, mechanism) => {
    if (mechanism !== 'DEFLATE') throw bad('Unknown compression mechanism')
    if (session.capabilities().compressed) throw no('COMPRESSIONACTIVE', 'Compression is on already')
    return { text: 'DEFLATE active', compress: true }
  },
})
