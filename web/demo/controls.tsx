/** What a visitor can do to the whole: write, set the rate, break nodes, pause, begin anew. */
import type { JSX, RefObject } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import type { Controls, DemoState } from '../../src/demo/protocol.ts'
import { ConfirmButton } from '../shared/parts.tsx'
import type { DemoStore } from './store.ts'

const textLengthMax = 200
const rateMax = 500
const breakSecondsDefault = 10
const breakChoices = [5, 10, 20, 30, 60] as const
/** A slider tells of every step; the server hears of so many. */
const rateStepMs = 150
/** So long after the last step what the server says is shown again. */
const rateHeldMs = 1_500

interface PanelProps {
  readonly state: DemoState | null
  readonly isLive: boolean
  readonly store: RefObject<DemoStore | null>
}

export function ControlPanel({ state, isLive, store }: PanelProps): JSX.Element {
  const [isOpen, open] = useState(false)
  const controls = state?.controls ?? { ratePerSecond: 0, breakEverySeconds: 0, isPaused: false }
  const set = (change: Partial<Controls>): void => store.current?.control(change)
  return (
    <section class={isOpen ? 'controls is-open' : 'controls'} aria-labelledby="controls-title">
      <h2 id="controls-title">Controls</h2>
      <WriteForm state={state} isLive={isLive} store={store} />
      <button
        type="button"
        class="pause"
        disabled={!isLive}
        onClick={() => set({ isPaused: !controls.isPaused })}
      >
        {controls.isPaused ? 'Go on' : 'Pause'}
      </button>
      <button
        type="button"
        class="more"
        aria-expanded={isOpen}
        aria-controls="controls-more"
        onClick={() => open(!isOpen)}
      >
        {isOpen ? 'Less' : 'More'}
      </button>
      <div class="controls-more" id="controls-more">
        <Rate value={controls.ratePerSecond} isLive={isLive} set={set} />
        <Breaking value={controls.breakEverySeconds} isLive={isLive} set={set} />
        <ConfirmButton
          label="Reset"
          question="Empty the log and the databases of all nodes, and count from zero?"
          yes="Reset"
          disabled={!isLive}
          run={() => store.current?.reset()}
        />
      </div>
    </section>
  )
}

function WriteForm({ state, isLive, store }: PanelProps): JSX.Element {
  const [text, setText] = useState('')
  const [node, setNode] = useState('')
  const submit = (event: Event): void => {
    event.preventDefault()
    const words = text.trim()
    store.current?.write({
      ...(words === '' ? {} : { text: words }),
      ...(node === '' ? {} : { node }),
    })
    setText('')
  }
  return (
    <form class="write" onSubmit={submit}>
      <label class="write-text">
        <span>Text</span>
        <input
          type="text"
          maxLength={textLengthMax}
          placeholder="Anything; it is shown as text"
          value={text}
          onInput={({ currentTarget }) => setText(currentTarget.value)}
        />
      </label>
      <label class="write-node">
        <span>at</span>
        <select value={node} onChange={({ currentTarget }) => setNode(currentTarget.value)}>
          <option value="">any node</option>
          {state?.nodes.map(({ id }) => (
            <option key={id} value={id}>
              {id}
            </option>
          ))}
        </select>
      </label>
      <button type="submit" class="main" disabled={!isLive}>
        Write now
      </button>
    </form>
  )
}

interface SettingProps {
  readonly value: number
  readonly isLive: boolean
  set(change: Partial<Controls>): void
}

function Rate({ value, isLive, set }: SettingProps): JSX.Element {
  // While it is dragged the hand decides, not what the server knew a moment ago.
  const [dragged, drag] = useState<number | null>(null)
  useEffect(() => {
    if (dragged === null) return undefined
    const sending = setTimeout(() => set({ ratePerSecond: dragged }), rateStepMs)
    const letting = setTimeout(() => drag(null), rateHeldMs)
    return () => {
      clearTimeout(sending)
      clearTimeout(letting)
    }
  }, [dragged])
  const shown = dragged ?? value
  return (
    <label class="rate">
      <span>
        Writes a second <b class="figures">{shown}</b>
      </span>
      <input
        type="range"
        min={0}
        max={rateMax}
        step={5}
        value={shown}
        disabled={!isLive}
        onInput={({ currentTarget }) => drag(Number(currentTarget.value))}
      />
    </label>
  )
}

function Breaking({ value, isLive, set }: SettingProps): JSX.Element {
  const [seconds, choose] = useState(breakSecondsDefault)
  const shown = value === 0 ? seconds : value
  const choices = [...new Set([...breakChoices, shown])].sort((a, b) => a - b)
  return (
    <div class="breaking">
      <label class="check">
        <input
          type="checkbox"
          checked={value > 0}
          disabled={!isLive}
          onChange={({ currentTarget }) =>
            set({ breakEverySeconds: currentTarget.checked ? seconds : 0 })
          }
        />
        Break a random node
      </label>
      <label>
        every{' '}
        <select
          value={shown}
          disabled={!isLive}
          onChange={({ currentTarget }) => {
            choose(Number(currentTarget.value))
            if (value > 0) set({ breakEverySeconds: Number(currentTarget.value) })
          }}
        >
          {choices.map((choice) => (
            <option key={choice} value={choice}>
              {choice} s
            </option>
          ))}
        </select>
      </label>
    </div>
  )
}
