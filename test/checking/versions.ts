import { countUpTo } from './highest-before.ts'
import type { Replay } from './log-history.ts'

/** What one question answered, from which position of the log on. */
interface Question {
  readonly positions: number[]
  readonly answers: string[]
  /** By answer: which of the versions have it. */
  readonly byAnswer: Map<string, number[]>
}

export type Answers = Readonly<Record<string, string>>

/** What was answered to questions at each position of the log; position 0 is before all writes. */
export class Versions {
  readonly #questions = new Map<string, Question>()

  constructor(questions: Iterable<string>) {
    for (const question of questions) {
      this.#questions.set(question, { positions: [], answers: [], byAnswer: new Map() })
    }
  }

  /** Of all changes in their order, once; `outcome` is told what each answers. */
  replay<State, Change>(
    replay: Replay<State, Change>,
    changes: Iterable<Change>,
    outcome: (position: number, text: string | undefined) => void,
  ): void {
    let state = replay.initial()
    for (const question of this.#questions.keys()) {
      this.#add(0, question, replay.answer(state, question))
    }
    let position = 0
    for (const change of changes) {
      position += 1
      outcome(position, replay.outcome?.(state, change))
      state = replay.apply(state, change)
      for (const question of replay.touches(change)) {
        if (!this.#questions.has(question)) continue
        this.#add(position, question, replay.answer(state, question))
      }
    }
  }

  /** The first position from `low` on at which all answers are these; Infinity if none is. */
  find(answers: Answers, low: number): number {
    const asked = Object.entries(answers)
    let position = low
    for (let fitting = 0; fitting < asked.length; ) {
      const [question, answer] = asked[fitting] as [string, string]
      const found = this.#find(question, answer, position)
      if (found === Infinity) return Infinity
      fitting = found === position ? fitting + 1 : 0
      position = found
    }
    return position
  }

  answerAt(question: string, position: number): string | undefined {
    const { positions, answers } = this.#question(question)
    return answers[countUpTo(positions, position) - 1]
  }

  #find(name: string, answer: string, low: number): number {
    const { positions, answers, byAnswer } = this.#question(name)
    const current = countUpTo(positions, low) - 1
    if (answers[current] === answer) return low
    const versions = byAnswer.get(answer) ?? []
    const next = versions[countUpTo(versions, current)]
    return next === undefined ? Infinity : (positions[next] as number)
  }

  #add(position: number, name: string, answer: string): void {
    const { positions, answers, byAnswer } = this.#question(name)
    const version = positions.push(position) - 1
    answers.push(answer)
    const same = byAnswer.get(answer)
    if (same === undefined) byAnswer.set(answer, [version])
    else same.push(version)
  }

  #question(name: string): Question {
    const question = this.#questions.get(name)
    if (question === undefined) throw new Error(`nobody asked ${name}`)
    return question
  }
}
