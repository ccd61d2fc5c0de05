import { type ConfState, jointVoteResult, type MemberId } from '../raft/raft.ts'

/** What a member holds at one index: by database, a digest or a hash of the content. */
export type Held = ReadonlyMap<string, string>

/** A member whose copy of a database is not what the majority has. */
export interface Differing {
  readonly memberId: MemberId
  readonly database: string
}

export interface Verdict {
  /** Whether a majority holds the same of every database, and nobody anything else. */
  readonly isClean: boolean
  /** Databases of which a majority of voters holds the same. */
  readonly agreed: readonly string[]
  readonly differing: readonly Differing[]
  /** Databases of which voters hold different things, none of them a majority of voters. */
  readonly undecided: readonly string[]
}

/**
 * Who is wrong. Being the leader proves nothing: only what a majority of voters holds counts as
 * right, and whoever holds something else, learner or voter, differs. While a voter that may still
 * answer could make a majority, nothing is said. Who answered with nothing at all can't answer.
 */
export function judge(
  rows: ReadonlyMap<MemberId, Held>,
  { voters, votersOutgoing }: Pick<ConfState, 'voters' | 'votersOutgoing'>,
  mayAnswer: (id: MemberId) => boolean,
): Verdict {
  const differing: Differing[] = []
  const undecided: string[] = []
  const agreed: string[] = []
  const databases = new Set([...rows.values()].flatMap((held) => [...held.keys()]))
  const isVoter = new Set([...voters, ...votersOutgoing])
  for (const database of databases) {
    const holders = [...rows].filter(([, held]) => held.has(database))
    const values = new Set(holders.map(([, held]) => held.get(database) as string))
    const ofVoters = new Set(
      holders.filter(([id]) => isVoter.has(id)).map(([, held]) => held.get(database)),
    )
    const results = [...values].map((value) => {
      const voteOf = (id: MemberId): boolean | undefined => {
        const held = rows.get(id)
        const found = held?.get(database)
        if (found !== undefined) return found === value
        if (held !== undefined) return held.size === 0 ? false : undefined
        return mayAnswer(id) ? undefined : false
      }
      return [value, jointVoteResult(voters, votersOutgoing, voteOf)] as const
    })
    const right = results.find(([, result]) => result === 'won')?.[0]
    if (right !== undefined) {
      agreed.push(database)
      for (const [memberId, held] of holders) {
        if (held.get(database) !== right) differing.push({ memberId, database })
      }
    } else if (ofVoters.size > 1 && results.every(([, result]) => result === 'lost')) {
      undecided.push(database)
    }
  }
  const isClean = differing.length === 0 && agreed.length === databases.size
  return { isClean, agreed, differing, undecided }
}
