/** Asks for a token, where the server wants one or does not take the one it was given. */
import type { JSX } from 'preact'
import { useState } from 'preact/hooks'

interface TokenFormProps {
  readonly hadOne: boolean
  /** Instead of what is said of a token that is not known. */
  readonly why?: string
  enter(token: string): void
}

export function TokenForm({ hadOne, why, enter }: TokenFormProps): JSX.Element {
  const [token, setToken] = useState('')
  return (
    <form
      class="token"
      onSubmit={(event) => {
        event.preventDefault()
        if (token.trim() !== '') enter(token.trim())
      }}
    >
      <p role="status">
        {hadOne
          ? (why ?? 'The server does not take this token. Another one?')
          : 'This server wants a token. It is kept for this tab alone.'}
      </p>
      <label>
        Token{' '}
        <input
          type="password"
          autocomplete="off"
          value={token}
          onInput={({ currentTarget }) => setToken(currentTarget.value)}
        />
      </label>
      <button type="submit" class="main">
        Continue
      </button>
    </form>
  )
}
