/** What a reader of screens, of small print, or of a keyboard would stumble over. */
import type { Page } from 'playwright-core'

/**
 * Runs inside the page, where there are no modules. Contrast is that of the text against the first
 * opaque ground behind it, by the formula of WCAG 2.
 */
const script = `(() => {
  const found = []
  const describe = (element) =>
    element.tagName.toLowerCase() + '.' + element.className + ' "' +
    (element.textContent || '').trim().slice(0, 40) + '"'
  const isShown = (element) =>
    element.checkVisibility({ visibilityProperty: true, opacityProperty: true })

  const nameOf = (element) =>
    element.getAttribute('aria-label') || (element.textContent || '').trim() ||
    [...(element.labels || [])].map((label) => label.textContent.trim()).join(' ')
  const controls = 'button, a[href], input, select, textarea, [tabindex], svg:not([aria-hidden])'
  for (const element of document.querySelectorAll(controls)) {
    const labelledBy = document.getElementById(element.getAttribute('aria-labelledby') || '')
    if (!nameOf(element) && !labelledBy) found.push('no name: ' + element.outerHTML.slice(0, 80))
    if (element.tabIndex > 0) found.push('jumps the queue: ' + describe(element))
  }

  const ids = [...document.querySelectorAll('[id]')].map((element) => element.id)
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) found.push('two of ' + id)
  if (document.querySelectorAll('h1').length !== 1) found.push('not one h1')
  if (document.querySelectorAll('main').length !== 1) found.push('not one main')

  const parse = (color) => color.match(/[\\d.]+/g).map(Number)
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((part) => {
      const share = part / 255
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * x + 0.7152 * y + 0.0722 * z
  }
  const groundOf = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const ground = parse(getComputedStyle(at).backgroundColor)
      if (ground.length < 4 || ground[3] === 1) return ground
    }
    return [255, 255, 255]
  }
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement
    if (!texts.currentNode.data.trim() || !isShown(element)) continue
    const [a, b] = [parse(getComputedStyle(element).color), groundOf(element)]
      .map(luminance).sort((x, y) => y - x)
    const contrast = (a + 0.05) / (b + 0.05)
    if (contrast < 4.5) found.push(contrast.toFixed(1) + ' : 1 of ' + describe(element))
  }

  const width = document.documentElement.scrollWidth
  if (width > innerWidth) found.push('scrolls sideways: ' + width + ' of ' + innerWidth)
  return found
})()`

export function auditPage(page: Page): Promise<string[]> {
  return page.evaluate<string[]>(script)
}
