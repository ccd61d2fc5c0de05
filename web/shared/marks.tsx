/** What is drawn: the shapes of roles, the signs on buttons, bars and sparklines. */
import type { JSX } from 'preact'

export type Role = 'leader' | 'follower' | 'candidate' | 'learner' | 'gone'

const hexagon = 'M12 2l8.66 5v10L12 22l-8.66-5V7z'
const innerHexagon = 'M12 7l4.33 2.5v5L12 17l-4.33-2.5v-5z'
/** Broken in two, its halves moved apart: nobody takes it for the dashed one. */
const brokenHexagon = 'M13.5 1l8.66 5v5M22.16 13v4L15 21M10.5 3L1.84 8v5M1.84 15v3L10.5 23'

const roleWords: Readonly<Record<Role, string>> = {
  leader: 'Leader',
  follower: 'Follower',
  candidate: 'Candidate',
  learner: 'Learner',
  gone: 'Gone',
}

/** A role as shape and as word: neither needs the other, and neither needs colour. */
export function RoleMark({ role, note }: { role: Role; note?: string }): JSX.Element {
  return (
    <span class={`role role-${role}`}>
      <svg viewBox="0 0 24 24" aria-hidden="true">
        <path d={role === 'gone' ? brokenHexagon : hexagon} />
        {role === 'candidate' && <path class="pulse" d={innerHexagon} />}
      </svg>
      <span>
        {roleWords[role]}
        {note !== undefined && <span class="soft">, {note}</span>}
      </span>
    </span>
  )
}

const signs = {
  restart: 'M20 4v5h-5M20 9A8.5 8.5 0 1 0 20.5 13',
  cut: 'M3 12h5l2-4M21 12h-5l-2 4M13 4l-1 4M11 20l1-4',
  join: 'M3 12h18M8 8l-4 4 4 4M16 8l4 4-4 4',
  down: 'M12 4v11M7 10l5 5 5-5M5 20h14',
  copy: 'M8 8V4h12v12h-4M4 8h12v12H4z',
  up: 'M6 15l6-6 6 6',
} as const

export function Sign({ name }: { name: keyof typeof signs }): JSX.Element {
  return (
    <svg class="sign" viewBox="0 0 24 24" aria-hidden="true">
      <path d={signs[name]} />
    </svg>
  )
}

interface BarProps {
  readonly label: string
  /** 0 to 1: how much of the way to the leader's last entry is behind it. */
  readonly part: number
  readonly text: string
  readonly isLevel: boolean
}

/** How far a node is: from nothing to the last entry of the leader. */
export function Bar({ label, part, text, isLevel }: BarProps): JSX.Element {
  const percent = Math.round(part * 1_000) / 10
  return (
    <div class={isLevel ? 'bar is-level' : 'bar'}>
      <div class="bar-track" role="img" aria-label={`${label}: ${text}`}>
        <div class="bar-fill" style={{ width: `${percent}%` }} />
      </div>
      <span class="figures" aria-hidden="true">
        {text}
      </span>
    </div>
  )
}

/**
 * The shape of the last minute; what is beyond `max` runs along the edge. Its newest figure stands
 * beside it in words.
 */
export function Sparkline({
  values,
  max,
}: {
  values: readonly number[]
  max: number
}): JSX.Element {
  const height = 24
  const from = 60 - values.length
  const top = Math.max(1, max)
  const points = values.map((value, at) => {
    return `${from + at},${height - 1 - Math.min(1, value / top) * 22}`
  })
  return (
    <svg class="spark" viewBox="0 0 59 24" preserveAspectRatio="none" aria-hidden="true">
      <path class="spark-base" d={`M0 ${height - 0.5}H59`} />
      <polyline points={points.join(' ')} />
    </svg>
  )
}
