/** Any JSON, in one line or whole. */
import type { JSX } from 'preact'
import { formatCount } from '../shared/format.ts'
import { CopyButton } from '../shared/parts.tsx'

const lineCharsMax = 200
/** A megabyte of text would stop the page, and nobody reads it here. */
const shownCharsMax = 20_000

export function toLine(value: unknown): string {
  return JSON.stringify(value).slice(0, lineCharsMax)
}

interface TextBoxProps {
  readonly title: string
  readonly text: string
}

/** A text as it is, which scrolls by itself where it is long; named, as it takes the focus then. */
export function TextBox({ title, text }: TextBoxProps): JSX.Element {
  const more = text.length - shownCharsMax
  return (
    <div class="text-box">
      <div class="text-head">
        <span class="soft">{title}</span>
        <CopyButton text={text} what={title} />
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, also by keyboard. */}
      <section tabIndex={0} aria-label={title}>
        <pre>{text.slice(0, shownCharsMax)}</pre>
      </section>
      {more > 0 && <p class="soft">{formatCount(more)} more characters: copy it to see them.</p>}
    </div>
  )
}

export function Value({ title, value }: { title: string; value: unknown }): JSX.Element {
  return <TextBox title={title} text={JSON.stringify(value, null, 2)} />
}
