/** A real browser, headless: the one that npm brought along, or one that the machine has. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import packed from '@sparticuz/chromium'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'

/** For whoever wants to look at the pages as the last run had them. */
export const PICTURES: string = join(tmpdir(), 'colmena-pictures')

/** Where the usual systems keep theirs. */
const installed = [
  '/usr/bin/google-chrome',
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/snap/bin/chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
  'C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe',
] as const

// The pages have no WebGL, and without it the browser paints at once: with it, a graphics card is
// simulated, which costs as much again as all else that the tests of the pages do.
packed.setGraphicsMode = false

/** What a browser does by itself on the network has no place in a test. */
const quiet = ['--disable-background-networking', '--disable-component-update', '--disable-sync']

const UNPACKED_MS_MAX = 60_000
const RETRY_MS = 100

const dist = new URL('../../dist/web/', import.meta.url)

export async function openBrowser(): Promise<Browser> {
  const missing = ['cluster.html', 'demo.html'].find((name) => !existsSync(new URL(name, dist)))
  assert.ok(missing === undefined, `${missing} is not built: npm run build`)
  // The packed one is built for this platform only.
  const isPacked = process.platform === 'linux' && process.arch === 'x64'
  const executablePath = isPacked
    ? await packed.executablePath()
    : installed.find((path) => existsSync(path))
  assert.ok(
    executablePath !== undefined,
    `no browser for ${process.platform} ${process.arch}: install Chrome or Chromium, as one of ` +
      installed.join(', '),
  )
  // In a single process, closing one context hangs all others.
  const own = isPacked ? packed.args.filter((flag) => flag !== '--single-process') : []
  const args = [...own, ...quiet]
  const endMs = performance.now() + UNPACKED_MS_MAX
  for (;;) {
    try {
      return await chromium.launch({ executablePath, args, headless: true })
    } catch (error) {
      // On a fresh machine another test file may be unpacking it this very moment.
      const isUnpacking = `${(error as Error).message}`.includes('ETXTBSY')
      if (!isUnpacking || performance.now() > endMs) throw error
      await pause(RETRY_MS)
    }
  }
}

export interface Look {
  readonly width: 1440 | 390
  readonly scheme: 'light' | 'dark'
}

export const LOOKS: readonly Look[] = [
  { width: 1440, scheme: 'light' },
  { width: 390, scheme: 'light' },
  { width: 1440, scheme: 'dark' },
  { width: 390, scheme: 'dark' },
]

/** A page, and what it did wrong: errors, words on the console, requests that leave its origin. */
export interface WatchedPage {
  readonly page: Page
  readonly faults: readonly string[]
}

export async function openPage(
  browser: Browser,
  url: string,
  { width, scheme }: Look = LOOKS[0]!,
  options: BrowserContextOptions = {},
): Promise<WatchedPage> {
  const viewport = { width, height: width === 390 ? 844 : 900 }
  const context = await browser.newContext({
    viewport,
    colorScheme: scheme,
    locale: 'en-US',
    ...options,
  })
  const page = await context.newPage()
  const faults: string[] = []
  const { origin } = new URL(url)
  page.on('pageerror', (error) => faults.push(`threw ${error.message}`))
  page.on('console', (message) => {
    // A server that is away is part of some tests, and the browser tells of it by itself.
    if (message.type() !== 'error' || /ERR_|status of (4|5)\d\d/.test(message.text())) return
    faults.push(`said ${message.text()}`)
  })
  page.on('request', (request) => {
    if (!request.url().startsWith(`${origin}/`)) faults.push(`asked for ${request.url()}`)
  })
  await page.goto(url)
  return { page, faults }
}
