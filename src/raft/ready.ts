import type { Core } from './core.ts'
import { createMessage } from './message.ts'
import {
  APPEND_THREAD,
  APPLY_THREAD,
  type Entry,
  type HardState,
  type Message,
  type Ready,
  type SoftState,
} from './types.ts'

/**
 * Hands out work. What a {@link Ready} contains counts as handed out: the next one holds only what
 * came after. In asynchronous mode the work for storage is in its messages, each with the answers
 * to deliver once it is done; in synchronous mode the answers are kept until `advance`.
 */
export class ReadyMaker {
  readonly #core: Core
  readonly #isAsync: boolean
  #softState: SoftState
  #hardState: HardState
  #onAdvance: Message[] = []

  constructor(core: Core) {
    this.#core = core
    this.#isAsync = core.config.asyncStorageWrites
    this.#softState = { leader: core.leader, role: core.role }
    this.#hardState = { term: core.term, vote: core.vote, commit: core.log.committed }
  }

  hasReady(): boolean {
    const { log, messages, messagesAfterAppend, readStates } = this.#core
    return (
      messages.length + messagesAfterAppend.length + readStates.length > 0 ||
      log.unstable.hasNextEntries() ||
      log.unstable.nextSnapshot() !== null ||
      log.hasNextCommittedEntries(!this.#isAsync) ||
      this.#isSoftStateNew() ||
      this.#isHardStateNew()
    )
  }

  take(): Ready {
    const core = this.#core
    const { log } = core
    const entries = log.unstable.nextEntries()
    const snapshot = log.unstable.nextSnapshot()
    const committedEntries = log.nextCommittedEntries(!this.#isAsync)
    const previous = this.#hardState
    const softState = this.#isSoftStateNew() ? { leader: core.leader, role: core.role } : null
    const hardState = this.#isHardStateNew()
      ? { term: core.term, vote: core.vote, commit: log.committed }
      : null
    const isVoteOrTermNew = core.term !== previous.term || core.vote !== previous.vote
    const ready: Ready = {
      softState,
      hardState,
      readStates: core.readStates,
      entries,
      snapshot,
      committedEntries,
      messages: core.messages,
      mustSync: entries.length > 0 || isVoteOrTermNew,
    }
    if (this.#isAsync) this.#addStorageMessages(ready, core.messages)
    else this.#keepForAdvance(ready, core.messages)
    this.#accept(ready)
    return ready
  }

  /** The answers to what the last Ready asked for; synchronous mode only. */
  takeAdvanced(): readonly Message[] {
    const messages = this.#onAdvance
    this.#onAdvance = []
    return messages
  }

  hasOpenReady(): boolean {
    return this.#onAdvance.length > 0
  }

  #isSoftStateNew(): boolean {
    const { leader, role } = this.#softState
    return this.#core.leader !== leader || this.#core.role !== role
  }

  #isHardStateNew(): boolean {
    const { term, vote, commit } = this.#hardState
    const core = this.#core
    return core.term !== term || core.vote !== vote || core.log.committed !== commit
  }

  #addStorageMessages(ready: Ready, messages: Message[]): void {
    const { entries, hardState, snapshot, committedEntries } = ready
    const responses = this.#core.messagesAfterAppend
    if (entries.length + responses.length > 0 || hardState !== null || snapshot !== null) {
      messages.push(this.#createStorageAppend(ready, responses))
    }
    if (committedEntries.length > 0) {
      const message = createMessage('storageApply', this.#core.id, APPLY_THREAD)
      message.entries = committedEntries
      message.responses = [this.#createApplyResponse(committedEntries)]
      messages.push(message)
    }
  }

  #createStorageAppend(ready: Ready, responses: Message[]): Message {
    const message = createMessage('storageAppend', this.#core.id, APPEND_THREAD)
    message.entries = ready.entries
    message.snapshot = ready.snapshot
    if (ready.hardState !== null) {
      message.term = ready.hardState.term
      message.vote = ready.hardState.vote
      message.commit = ready.hardState.commit
    }
    // The attestation comes after the leader's own acknowledgement, which then still finds the
    // terms of the entries in memory.
    if (this.#needsAppendResponse(ready)) responses.push(this.#createAppendResponse(ready))
    message.responses = responses
    return message
  }

  /**
   * Not only when there are entries to write: an attestation from an earlier term is ignored, so
   * each write of this term attests the end of the log anew until nothing is unstable.
   */
  #needsAppendResponse(ready: Ready): boolean {
    return this.#core.log.unstable.length > 0 || ready.snapshot !== null
  }

  #createAppendResponse(ready: Ready): Message {
    const { id, term, log } = this.#core
    const response = createMessage('storageAppendResponse', APPEND_THREAD, id)
    response.term = term
    response.snapshot = ready.snapshot
    if (log.unstable.length > 0) {
      response.index = log.lastIndex()
      response.logTerm = log.lastTerm()
    }
    return response
  }

  #createApplyResponse(entries: readonly Entry[]): Message {
    const response = createMessage('storageApplyResponse', APPLY_THREAD, this.#core.id)
    response.entries = entries
    return response
  }

  #keepForAdvance(ready: Ready, messages: Message[]): void {
    for (const message of this.#core.messagesAfterAppend) {
      if (message.to === this.#core.id) this.#onAdvance.push(message)
      else messages.push(message)
    }
    if (this.#needsAppendResponse(ready)) this.#onAdvance.push(this.#createAppendResponse(ready))
    if (ready.committedEntries.length > 0) {
      this.#onAdvance.push(this.#createApplyResponse(ready.committedEntries))
    }
  }

  #accept(ready: Ready): void {
    const core = this.#core
    if (ready.softState !== null) this.#softState = ready.softState
    if (ready.hardState !== null) this.#hardState = ready.hardState
    core.readStates = []
    core.messages = []
    core.messagesAfterAppend = []
    core.log.unstable.acceptInProgress()
    const { committedEntries } = ready
    if (committedEntries.length > 0) core.log.acceptApplying(committedEntries, !this.#isAsync)
  }
}
