/** Which view the address names: behind its hash, so that any prefix will do. */
import { useEffect, useState } from 'preact/hooks'

/** Which jobs are listed; an empty text is any. */
export interface JobFilter {
  readonly state: string
  readonly type: string
  readonly tag: string
  readonly search: string
  /** Where each page behind the first begins, the one that is shown last. */
  readonly pages: readonly number[]
}

export type Route =
  | { readonly view: 'cluster' }
  | { readonly view: 'jobs'; readonly filter: JobFilter }
  | { readonly view: 'job'; readonly id: string }

export const allJobs: JobFilter = { state: '', type: '', tag: '', search: '', pages: [] }

const texts = ['state', 'type', 'tag', 'search'] as const

export function toHash(route: Route): string {
  if (route.view === 'cluster') return '#/'
  if (route.view === 'job') return `#/job?${new URLSearchParams({ id: route.id })}`
  const params = new URLSearchParams()
  for (const name of texts) if (route.filter[name] !== '') params.set(name, route.filter[name])
  const { pages } = route.filter
  if (pages.length > 0) params.set('pages', pages.join(' '))
  return params.size === 0 ? '#/jobs' : `#/jobs?${params}`
}

export function toJobsHash(filter: Partial<JobFilter>): string {
  return toHash({ view: 'jobs', filter: { ...allJobs, ...filter } })
}

/** Null for what names a place in the page, and no view. */
export function parseHash(hash: string): Route | null {
  if (hash === '') return { view: 'cluster' }
  if (!hash.startsWith('#/')) return null
  const [path, rest = ''] = hash.slice(2).split(/\?(.*)/s)
  const params = new URLSearchParams(rest)
  const id = params.get('id')
  if (path === 'job' && id !== null) return { view: 'job', id }
  if (path !== 'jobs') return { view: 'cluster' }
  const [state, type, tag, search] = texts.map((name) => params.get(name) ?? '')
  const pages = (params.get('pages') ?? '').split(' ').map(Number)
  const filter = { state, type, tag, search, pages: pages.filter((page) => page > 0) }
  return { view: 'jobs', filter: { ...allJobs, ...filter } as JobFilter }
}

export function useRoute(): Route {
  const [route, go] = useState<Route>(() => parseHash(location.hash) ?? { view: 'cluster' })
  useEffect(() => {
    const read = (): void => {
      const named = parseHash(location.hash)
      if (named !== null) go(named)
    }
    addEventListener('hashchange', read)
    return () => removeEventListener('hashchange', read)
  }, [])
  return route
}
