import { until } from '../processes/wait.ts'
import { type Struck, tryCall } from './acting.ts'
import type { Rig, Seat } from './rig.ts'

const REMOVAL_MS = 15_000
const JOIN_MS = 15_000
const WHOLE_MS = 8_000

/**
 * The member goes for good, and another one, with nothing of it, comes in its place: under a name
 * of its own, or under the same.
 */
export async function replaceMember(rig: Rig, seat: Seat, choice: number): Promise<Struck> {
  const [name, asked] = [rig.name(seat), rig.seat(seat.at + 1)]
  if (!(await rig.canSpare())) return { what: `${name} is needed`, strikes: 0 }
  seat.isLeaving = true
  const answers: string[] = []
  const isGone = async (): Promise<boolean> => {
    answers.push(await tryCall(asked, 'changeMember', 'remove', name))
    const members = await rig.ask(asked, 'members')
    return members !== null && !members.some(({ nodeId }) => nodeId === name)
  }
  try {
    await until(`${name} is gone`, isGone, REMOVAL_MS)
  } catch {
    // Where it comes to it later, it ends by itself.
    return { what: `${name} was not removed: ${answers.at(-1)}`, strikes: 0 }
  }
  // It may have heard of it, and then a new one is on its way.
  if (seat.isLeaving) {
    seat.isLeaving = false
    await rig.holdDown([seat], async () => {
      await rig.kill(seat)
      if (choice % 2 === 0) rig.renew(seat)
      else rig.empty(seat)
    })
  }
  return { what: `${name}, now ${rig.name(seat)}`, strikes: 1 }
}

/**
 * Its disk is lost: it comes back under its name with an empty folder, and takes the place of the
 * silent member that it was. Only while the others have all that there is.
 */
export async function wipeMember(rig: Rig, seat: Seat): Promise<Struck> {
  const name = rig.name(seat)
  const isSpared = await until('others are whole', () => rig.mayForget(seat), WHOLE_MS).then(
    () => false,
    () => true,
  )
  if (isSpared) return { what: `${name} is needed`, strikes: 0 }
  await rig.holdDown([seat], async () => {
    await rig.kill(seat)
    rig.empty(seat)
  })
  const isBack = await until(`${name} votes again`, () => rig.allVote(), JOIN_MS).catch(() => false)
  return { what: `${name}${isBack ? '' : ', not back yet'}`, strikes: 1 }
}
