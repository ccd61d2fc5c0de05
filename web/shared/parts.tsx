/** Small parts that both pages are made of. */
import type { ComponentChildren, JSX } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { formatClock } from './format.ts'
import { Sign } from './marks.tsx'
import type { Link } from './stream.ts'

export function Head({ children }: { children: ComponentChildren }): JSX.Element {
  return (
    <header class="head">
      <a class="skip" href="#main">
        Skip to the cluster
      </a>
      <strong class="name">
        <svg viewBox="0 0 24 24" aria-hidden="true">
          <path d="M12 2l8.66 5v10L12 22l-8.66-5V7z" />
        </svg>
        Colmena
      </strong>
      <span class="claim soft">Replicated SQLite inside your Node.js process</span>
      {children}
    </header>
  )
}

/** Says so when the text is on the clipboard; where there is none, it selects the text instead. */
export function CopyButton({ text, what }: { text: string; what: string }): JSX.Element {
  const [said, say] = useState('')
  useEffect(() => {
    if (said === '') return undefined
    const timer = setTimeout(() => say(''), 2_000)
    return () => clearTimeout(timer)
  }, [said])
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text)
      say('Copied')
    } catch {
      say('Not allowed here')
    }
  }
  return (
    <button type="button" class="quiet" aria-label={`Copy ${what}`} onClick={() => void copy()}>
      <Sign name="copy" />
      <span aria-live="polite">{said || 'Copy'}</span>
    </button>
  )
}

/** What the whole page has to say of itself: always one line, so that nothing jumps. */
export interface Report {
  readonly kind: 'well' | 'waits' | 'broken'
  readonly title: string
  readonly text: string
}

export function Strip({
  report,
  children,
}: {
  report: Report
  children?: ComponentChildren
}): JSX.Element {
  return (
    <div class={`strip strip-${report.kind}`}>
      <p role="status">
        <strong>{report.title}</strong> {report.text}
      </p>
      {children}
    </div>
  )
}

/** A connection in words; null while it is whole. `lastHeard` is when what is shown was true. */
export function reportLink(link: Link, lastHeard: number | null, advice: string): Report | null {
  if (link.state === 'live' && lastHeard !== null) return null
  if (link.state === 'lost') {
    const shown = lastHeard === null ? '' : ` What you see is from ${formatClock(lastHeard)}.`
    const text = `Trying again by itself: ${link.reason}.${shown} ${advice}`
    return { kind: 'broken', title: 'The connection is lost.', text }
  }
  return { kind: 'waits', title: 'Connecting.', text: 'The first figures arrive in a moment.' }
}

interface ConfirmProps {
  readonly label: string
  /** What will happen, as a question. */
  readonly question: string
  readonly yes: string
  readonly disabled?: boolean
  run(): void
}

/** For what destroys something: says what will happen, and asks once. */
export function ConfirmButton({ label, question, yes, disabled, run }: ConfirmProps): JSX.Element {
  const [isAsking, ask] = useState(false)
  const keep = useRef<HTMLButtonElement>(null)
  useEffect(() => {
    if (isAsking) keep.current?.focus()
  }, [isAsking])
  if (!isAsking) {
    return (
      <button type="button" disabled={disabled ?? false} onClick={() => ask(true)}>
        {label}
      </button>
    )
  }
  const answer = (isYes: boolean): void => {
    ask(false)
    if (isYes) run()
  }
  return (
    <fieldset class="confirm">
      <legend>{question}</legend>
      <button type="button" disabled={disabled ?? false} onClick={() => answer(true)}>
        {yes}
      </button>
      <button type="button" ref={keep} onClick={() => answer(false)}>
        Keep
      </button>
    </fieldset>
  )
}
