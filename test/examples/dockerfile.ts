/** What a Dockerfile says, and its steps as a shell would take them: no machine here has Docker. */
import assert from 'node:assert/strict'

export interface DockerStep {
  readonly name: string
  readonly text: string
}

const KNOWN = ['FROM', 'WORKDIR', 'COPY', 'RUN', 'ENV', 'VOLUME', 'EXPOSE', 'CMD']

export function readSteps(dockerfile: string): readonly DockerStep[] {
  const joined = dockerfile.replaceAll(/\\\n\s*/g, ' ')
  const lines = joined.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'))
  return lines.map((line) => {
    const [name = '', ...rest] = line.split(' ')
    assert.ok(KNOWN.includes(name), `nobody here knows what ${name} does`)
    return { name, text: rest.join(' ') }
  })
}

export function stepsOf(dockerfile: string, name: string): readonly string[] {
  return readSteps(dockerfile)
    .filter((step) => step.name === name)
    .map(({ text }) => text)
}

/** What the image starts. */
export function commandOf(dockerfile: string): readonly string[] {
  return JSON.parse(stepsOf(dockerfile, 'CMD').at(-1) ?? '[]')
}
