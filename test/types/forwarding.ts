/** Compiled, never run: what a handler's types let through, and what not. */
import { type ColmenaNode, type Handler, handler } from '../../src/index.ts'

interface ChargeRequest {
  readonly cents: bigint
  readonly at?: Date | undefined
  readonly items: readonly { readonly id: string; readonly image: Uint8Array }[]
}
interface ChargeResponse {
  receipt: string
  note: string | null
}
class Money {
  cents = 0
  double(): number {
    return 2 * this.cents
  }
}

declare const node: ColmenaNode

const charge: Handler<ChargeRequest, ChargeResponse> = handler<ChargeRequest, ChargeResponse>(
  'charge',
)
const ping = handler<void, void>('ping', { version: 2 })
handler<unknown, unknown>('anything')
// @ts-expect-error -- a function does not travel
handler<{ run: () => void }, void>('f')
// @ts-expect-error -- nor does one that may be absent
handler<void, { done?: () => void }>('f')
// @ts-expect-error -- nor what has methods
handler<Money, void>('m')
// @ts-expect-error -- nor a map
handler<{ by: Map<string, number> }, void>('m')
// @ts-expect-error -- nor a symbol
handler<symbol, void>('s')
// @ts-expect-error -- a key is text
handler<void, void>(7)
// @ts-expect-error -- a misspelt option
handler<void, void>('v', { versoin: 2 })

export async function forward(): Promise<void> {
  const stop: () => void = node.handle(charge, ({ cents, items }, { nodeId, signal }) => ({
    receipt: `${cents} ${items.length} ${nodeId} ${signal.aborted}`,
    note: null,
  }))
  stop()
  node.handle(charge, async (request) => ({ receipt: String(request.at?.getTime()), note: '' }))
  node.handle(ping, () => {})
  // @ts-expect-error -- an answer of another shape
  node.handle(charge, () => ({ receipt: 1, note: null }))
  // @ts-expect-error -- a request that is not
  node.handle(charge, ({ dollars }) => ({ receipt: String(dollars), note: null }))

  const { receipt }: ChargeResponse = await node.forward(charge, { cents: 1n, items: [] })
  await node.forward(charge, { cents: 1n, items: [] }, { timeoutMs: 5 })
  await node.forward(ping, undefined)
  // @ts-expect-error -- a field is missing
  await node.forward(charge, { cents: 1n })
  // @ts-expect-error -- a field of another type
  await node.forward(charge, { cents: 1, items: [] })
  // @ts-expect-error -- no such field in the answer
  ;(await node.forward(charge, { cents: 1n, items: [] })).cents
  // @ts-expect-error -- a key alone has no types
  await node.forward('charge', {})
  // @ts-expect-error -- a misspelt option
  await node.forward(ping, undefined, { timeout: 5 })
  console.log(receipt)
}
