import assert from 'node:assert/strict'
import {
  type ConfChange,
  createMessage,
  encodeConfChange,
  isVoter,
  type Message,
  type StepResult,
  type TraceEvent,
  type TraceLevel,
} from '../../src/raft/raft.ts'
import {
  describeEntries,
  describeMessage,
  describeProgress,
  describeReady,
  messageTypeOf,
  nameRole,
  parseChanges,
} from './etcd-raft-format.ts'
import { describeEvent } from './etcd-raft-log.ts'
import { hardStateOf, parseNodeOptions, ScenarioNode } from './etcd-raft-node.ts'
import {
  type Argument,
  type Directive,
  numbersOf,
  parseDirective,
  valuesOf,
} from './etcd-raft-scenario.ts'

const LEVELS: readonly string[] = ['debug', 'info', 'warn', 'error', 'fatal', 'none']
const SILENCE = LEVELS.indexOf('none')

interface Recipient {
  readonly id: number
  readonly isDropping: boolean
}

/** A cluster that is driven by the commands of etcd/raft's interaction scenarios. */
export class Environment {
  readonly #nodes: ScenarioNode[] = []
  #messages: Message[] = []
  #output = ''
  #level = 0

  /** Runs one directive, and maybe further commands in its input; returns what it printed. */
  handle(directive: Directive): string {
    this.#output = ''
    const error = this.#handleAll(directive)
    if (error !== '' && this.#level === SILENCE) return error
    this.#write(error)
    return this.#output === '' ? 'ok' : this.#output
  }

  #handleAll({ command, args, input }: Directive): string {
    if (command === 'propose-conf-change') return this.#proposeConfChange(args, input)
    const error = this.#handleOne(command, args)
    if (error !== '') return error
    for (const line of input.split('\n').filter((each) => each !== '')) {
      const next = parseDirective(line)
      const nextError = this.#handleOne(next.command, next.args)
      if (nextError !== '' && this.#level === SILENCE) return nextError
      this.#write(nextError)
    }
    return ''
  }

  /** The text of an error, or none. */
  #handleOne(command: string, args: readonly Argument[]): string {
    const handler = this.#handlers[command]
    return handler === undefined ? 'unknown command' : (handler(args) ?? '')
  }

  readonly #handlers: Readonly<Record<string, (args: readonly Argument[]) => string | undefined>> =
    {
      _breakpoint: () => undefined,
      'add-nodes': (args) => this.#addNodes(args),
      campaign: (args) => {
        this.#nodeOf(args).raft.campaign()
        return undefined
      },
      compact: (args) => {
        const node = this.#nodeOf(args)
        node.storage.compact(Number(args[1]!.key))
        this.#printLog(node)
        return undefined
      },
      'deliver-msgs': (args) => this.#handleDelivery(args),
      'process-ready': (args) =>
        this.#forEach(args, 'handling Ready', (node) => this.#processReady(node)),
      'process-append-thread': (args) =>
        this.#forEach(args, 'processing append thread', (node) => this.#processAppend(node)),
      'process-apply-thread': (args) =>
        this.#forEach(args, 'processing apply thread', (node) => this.#processApply(node)),
      'log-level': (args) => this.#setLevel(args[0]!.key),
      'raft-log': (args) => this.#printLog(this.#nodeOf(args)),
      'raft-state': () => this.#printStates(),
      'set-randomized-election-timeout': (args) => {
        this.#nodeOf(args).raft.overrideElectionTicks(Number(valuesOf(args, 'timeout')[0]))
        return undefined
      },
      stabilize: (args) => this.#handleStabilize(args),
      status: (args) => {
        for (const member of this.#nodeOf(args).raft.status().progress) {
          this.#write(`${member.id}: ${describeProgress(member)}\n`)
        }
        return undefined
      },
      tick: (args) => this.#tick(this.#nodeOf(args), Number(args[1]!.key)),
      'tick-election': (args) => this.#tick(this.#nodeOf(args), 3),
      'tick-heartbeat': (args) => this.#tick(this.#nodeOf(args), 1),
      'transfer-leadership': (args) => {
        const from = this.#node(Number(valuesOf(args, 'from')[0]))
        from.raft.transferLeader(Number(valuesOf(args, 'to')[0]))
        return undefined
      },
      'forget-leader': (args) => {
        this.#nodeOf(args).raft.forgetLeader()
        return undefined
      },
      'send-snapshot': (args) => this.#sendSnapshot(args),
      propose: (args) => {
        const data = new TextEncoder().encode(args[1]!.key)
        return describeResult(this.#nodeOf(args).raft.propose([data]))
      },
      'report-unreachable': (args) => {
        const [reporter, peer] = numbersOf(args)
        this.#node(reporter!).raft.reportUnreachable(peer!)
        return undefined
      },
    }

  #node(id: number): ScenarioNode {
    const node = this.#nodes[id - 1]
    assert(node !== undefined, `node ${id} exists`)
    return node
  }

  #nodeOf(args: readonly Argument[]): ScenarioNode {
    return this.#node(Number(args[0]!.key))
  }

  #write(text: string): void {
    if (this.#level !== SILENCE) this.#output += text
  }

  #log(event: TraceEvent): void {
    if (this.#level > levelOf(event.level)) return
    this.#write(`${event.level.toUpperCase()} ${describeEvent(event)}\n`)
  }

  /** What `work` writes is indented by two spaces, line by line. */
  #indent(work: () => void): void {
    const outer = this.#output
    this.#output = ''
    work()
    const lines = this.#output === '' ? [] : this.#output.replace(/\n$/, '').split('\n')
    this.#output = outer + lines.map((line) => `  ${line}\n`).join('')
  }

  #forEach(args: readonly Argument[], what: string, work: (node: ScenarioNode) => void): undefined {
    const ids = numbersOf(args)
    for (const id of ids) {
      if (ids.length === 1) {
        work(this.#node(id))
        continue
      }
      this.#write(`> ${id} ${what}\n`)
      this.#indent(() => work(this.#node(id)))
    }
  }

  #addNodes(args: readonly Argument[]): string {
    try {
      const options = parseNodeOptions(args.slice(1))
      for (let i = 0; i < Number(args[0]!.key); i++) {
        const id = this.#nodes.length + 1
        this.#nodes.push(new ScenarioNode(id, options, (event) => this.#log(event)))
      }
      return ''
    } catch (error) {
      return (error as Error).message
    }
  }

  #proposeConfChange(args: readonly Argument[], input: string): string {
    const transitions: Readonly<Record<string, ConfChange['transition']>> = {
      auto: 'auto',
      implicit: 'jointImplicit',
      explicit: 'jointExplicit',
    }
    const name = valuesOf(args, 'transition')[0] ?? 'auto'
    const transition = transitions[name]
    if (transition === undefined) return `unknown transition ${name}`
    const changes = parseChanges(input)
    const { raft } = this.#nodeOf(args)
    const change: ConfChange = { transition, changes, context: new Uint8Array(0) }
    if (valuesOf(args, 'v1')[0] !== 'true') return describeResult(raft.proposeConfChange(change))
    if (changes.length !== 1 || transition !== 'auto') {
      return 'v1 conf change can only have one operation and no transition'
    }
    const message = createMessage('propose', raft.id, raft.id)
    message.entries = [{ index: 0, term: 0, type: 'confChange', data: encodeConfChange(change) }]
    return describeResult(raft.step(message))
  }

  #processReady(node: ScenarioNode): void {
    const ready = node.raft.takeReady()
    this.#write(describeReady(ready))
    const isAsync = node.config.asyncStorageWrites
    if (!isAsync) {
      node.persist(ready.hardState, ready.entries, ready.snapshot)
      node.apply(ready.committedEntries)
    }
    for (const message of ready.messages) {
      if (!node.queueLocal(message)) this.#messages.push(message)
    }
    if (!isAsync) node.raft.advance()
  }

  #processAppend(node: ScenarioNode): void {
    const message = node.appendWork.shift()
    if (message === undefined) {
      this.#write('no append work to perform')
      return
    }
    this.#write(`Processing:\n${describeMessage({ ...message, responses: [] })}\n`)
    node.persist(hardStateOf(message), message.entries, message.snapshot)
    this.#respond(message)
  }

  #processApply(node: ScenarioNode): void {
    const message = node.applyWork.shift()
    if (message === undefined) {
      this.#write('no apply work to perform')
      return
    }
    this.#write(`Processing:\n${describeMessage({ ...message, responses: [] })}\n`)
    node.apply(message.entries)
    this.#respond(message)
  }

  #respond({ responses }: Message): void {
    this.#write('Responses:\n')
    for (const response of responses) this.#write(`${describeMessage(response)}\n`)
    this.#messages.push(...responses)
  }

  #handleDelivery(args: readonly Argument[]): undefined {
    const typeName = valuesOf(args, 'type')[0]
    const type = typeName === undefined ? null : messageTypeOf(typeName)
    const recipients: Recipient[] = numbersOf(args).map((id) => ({ id, isDropping: false }))
    for (const id of valuesOf(args, 'drop').map(Number)) {
      assert(!recipients.some((each) => each.id === id), `either deliver to ${id} or drop`)
      recipients.push({ id, isDropping: true })
    }
    if (this.#deliver(recipients, type) === 0) this.#write('no messages\n')
  }

  /** How many messages were delivered or dropped. */
  #deliver(recipients: readonly Recipient[], type: Message['type'] | null): number {
    let count = 0
    for (const { id, isDropping } of recipients) {
      const isMeant = (message: Message): boolean =>
        message.to === id &&
        !(isDropping && isLocal(message)) &&
        (type === null || message.type === type)
      const chosen = this.#messages.filter(isMeant)
      this.#messages = this.#messages.filter((message) => !isMeant(message))
      count += chosen.length
      for (const message of chosen) {
        this.#write(`${isDropping ? 'dropped: ' : ''}${describeMessage(message)}\n`)
        if (isDropping) continue
        const error = describeResult(this.#node(id).raft.step(message))
        if (error !== '') this.#write(`${error}\n`)
      }
    }
    return count
  }

  #handleStabilize(args: readonly Argument[]): string {
    const before = this.#level
    const level = valuesOf(args, 'log-level')[0]
    const error = level === undefined ? '' : (this.#setLevel(level) ?? '')
    const ids = numbersOf(args)
    const nodes = ids.length === 0 ? this.#nodes : ids.map((id) => this.#node(id))
    if (error === '') while (this.#stabilizeOnce(nodes));
    this.#level = before
    return error
  }

  /** One round over the nodes; false if there was nothing to do. */
  #stabilizeOnce(nodes: readonly ScenarioNode[]): boolean {
    let hasWorked = false
    const work = (node: ScenarioNode, what: string, run: () => void): void => {
      hasWorked = true
      this.#write(`> ${node.id} ${what}\n`)
      run()
    }
    for (const node of nodes) {
      if (!node.raft.hasReady()) continue
      work(node, 'handling Ready', () => this.#indent(() => this.#processReady(node)))
    }
    for (const node of nodes) {
      if (!this.#messages.some((message) => message.to === node.id)) continue
      const recipients = [{ id: node.id, isDropping: false }]
      work(node, 'receiving messages', () => this.#indent(() => this.#deliver(recipients, null)))
    }
    for (const node of nodes) {
      if (node.appendWork.length === 0) continue
      work(node, 'processing append thread', () => {
        while (node.appendWork.length > 0) this.#indent(() => this.#processAppend(node))
      })
    }
    for (const node of nodes) {
      if (node.applyWork.length === 0) continue
      work(node, 'processing apply thread', () => {
        while (node.applyWork.length > 0) this.#indent(() => this.#processApply(node))
      })
    }
    return hasWorked
  }

  #setLevel(name: string): string | undefined {
    const level = LEVELS.indexOf(name.toLowerCase())
    if (level < 0) return `log levels must be either of [${LEVELS.join(' ').toUpperCase()}]`
    this.#level = level
    return undefined
  }

  #tick(node: ScenarioNode, count: number): undefined {
    for (let i = 0; i < count; i++) node.raft.tick()
  }

  #printLog({ storage }: ScenarioNode): undefined {
    const first = storage.firstIndex()
    const last = storage.lastIndex()
    if (last < first) {
      this.#write(`log is empty: first index=${first}, last index=${last}`)
      return
    }
    const entries = storage.entries(first, last + 1, Number.POSITIVE_INFINITY)
    assert(typeof entries !== 'string', 'the whole log is in memory')
    this.#write(describeEntries(entries))
  }

  #printStates(): undefined {
    for (const { raft } of this.#nodes) {
      const { id, role, term, leader, confState } = raft.status()
      const kind = isVoter(confState, id) ? '(Voter)' : '(Non-Voter)'
      this.#write(`${id}: ${nameRole(role)} ${kind} Term:${term} Lead:${leader}\n`)
    }
  }

  #sendSnapshot(args: readonly Argument[]): undefined {
    const [from, to] = numbersOf(args)
    const message = createMessage('snapshot', from!, to!)
    message.term = this.#node(from!).raft.term
    message.snapshot = this.#node(from!).lastSnapshot()
    this.#messages.push(message)
    this.#write(describeMessage(message))
  }
}

function levelOf(level: TraceLevel): number {
  return LEVELS.indexOf(level)
}

/** Messages between a node and its own threads are never lost. */
function isLocal({ from, to }: Message): boolean {
  return from === to || from < 0 || to < 0
}

/** The error text of a refused input; refusals that are no errors there print nothing. */
function describeResult(result: StepResult): string {
  assert.notEqual(result, 'invalid', 'scenarios hold only well-formed messages')
  if (result === 'dropped') return 'raft proposal dropped'
  if (result === 'unknownPeer') return 'raft: cannot step as peer not found'
  return result === 'localMessage' ? 'raft: cannot step raft local message' : ''
}
