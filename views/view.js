// Draws bulk exports and syncs. See views.go for what show() and actions take.
// Text from outside is set as textContent only.
'use strict'
const FullstoryView = (root, actions) => {
  const NAMES = {
    f: 'failed', m: 'missing', t: 'retrying', r: 'running', p: 'planned', c: 'cancelled', v: 'provisional', s: 'stored',
    '-': 'not requested',
  }
  const WORST = 'fmtrpcvs-', DAY = 86400, keys = { opened: '', focus: '', table: false }
  let data = { items: [] }, chosen = '', drawn = '', said = ''

  const el = (tag, props, ...inner) => {
    const e = document.createElementNS(`http://www.w3.org/${/svg|path/.test(tag) ? '2000/svg' : '1999/xhtml'}`, tag)
    for (const [k, v] of Object.entries(props || {})) {
      if (v === undefined || v === false) continue
      if (k === 'text') e.textContent = v
      else if (k.startsWith('on')) e.addEventListener(k.slice(2), v)
      else e.setAttribute(k, v)
    }
    e.append(...inner.flat().filter(x => x != null && x !== false))
    return e
  }
  const number = n => Number(n || 0).toLocaleString('en-US')
  const many = (n, what) => number(n) + ' ' + what + (n === 1 ? '' : 's')
  const size = n => {
    let u = 0
    for (; n >= 1000 && u < 4; u++) n /= 1000
    return (u && n < 100 ? n.toFixed(1) : Math.round(n)) + ' ' + ['B', 'kB', 'MB', 'GB', 'TB'][u]
  }
  const clip = (text, most) => text && text.length > most ? text.slice(0, most - 1) + '…' : text || ''
  const plain = text => clip(String(text || '').replace(/`/g, ''), 600)
  const format = options => {
    const f = new Intl.DateTimeFormat('en-GB', { timeZone: 'UTC', ...options })
    return t => f.format(t * 1000)
  }
  const asDay = format({ weekday: 'short', day: 'numeric', month: 'short', year: 'numeric' })
  const asMonth = format({ month: 'long', year: 'numeric' })
  const asClock = format({ hour: '2-digit', minute: '2-digit' })
  const asTime = format({ day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit' })
  // The clock that the server wrote, whatever the zone of the browser.
  const written = (text, zone = '') => {
    const t = Date.parse(String(text).slice(0, 19) + 'Z') / 1000
    return isNaN(t) ? clip(plain(text), 60) : asTime(t) + zone
  }

  // cells returns [{at, end, state, windows}] of a calendar, in seconds of the clock of its zone.
  const cells = c => {
    const repeated = text => (text || '').split(' ').filter(Boolean).flatMap(r => {
      const [v, n] = r.split('*')
      return Array(Number(n || 1)).fill(Number(v))
    })
    const lengths = repeated(c.lengths), folded = repeated(c.folded), list = []
    let utc = c.start, zone = 0
    const local = () => {
      while (zone + 1 < c.offsets.length && c.offsets[zone + 1][0] <= utc) zone++
      return utc + (c.offsets[zone] ? c.offsets[zone][1] : 0)
    }
    for (const [, n, state] of c.states.matchAll(/(\d*)(\D)/g)) {
      for (let i = Number(n || 1); i > 0; i--) {
        const at = local(), length = lengths[list.length], windows = folded[list.length] ?? (state === '-' ? 0 : 1)
        utc += length
        list.push({ at, end: local(), length, state, windows })
      }
    }
    return list
  }

  // squares folds cells into days if they are hours, or parts of days, and many.
  const squares = list => {
    const used = list.filter(c => c.state !== '-'), all = new Map()
    const length = used.reduce((sum, c) => sum + c.length, 0) / Math.max(1, used.length)
    const level = length > 108e3 ? 'window' : length > 72e3 || used.length > 50 ? 'day' : 'hour'
    for (const c of used) {
      const k = level === 'day' ? Math.floor(c.at / DAY) : c.at
      all.has(k) ? all.get(k).push(c) : all.set(k, [c])
    }
    return [level, [...all].map(([k, inner]) => ({ k: String(k), inner }))]
  }

  const summary = inner => {
    const by = {}
    let state = '-', all = 0
    for (const c of inner) {
      by[c.state] = (by[c.state] || 0) + c.windows
      all += c.windows
      if (WORST.indexOf(c.state) < WORST.indexOf(state)) state = c.state
    }
    return { by, state, all, done: (by.s || 0) + (by.v || 0) }
  }
  const counts = by => [...WORST].filter(s => by[s]).map(s => number(by[s]) + ' ' + NAMES[s]).join(', ')
  const until = c => asDay(c.at) === asDay(c.end - 1) ? asDay(c.at) + ' ' + asClock(c.at) + ' to ' + asClock(c.end)
    : asTime(c.at) + ' to ' + asTime(c.end)

  const square = (level, s, open) => {
    const sum = summary(s.inner), first = s.inner[0]
    const label = (level === 'day' ? asDay(first.at) : until(first)) + ': ' + (sum.all === 1 ? NAMES[sum.state] : counts(sum.by))
    const b = el('button', {
      type: 'button', class: 'sq ' + NAMES[sum.state], title: label, 'aria-label': label, tabindex: -1, 'data-k': s.k,
      'aria-expanded': open ? String(keys.opened === s.k) : undefined,
      text: level === 'day' && !'fmt'.includes(sum.state) ? new Date(first.at * 1000).getUTCDate() : '',
    })
    if ('rp'.includes(sum.state) && sum.done) b.style.setProperty('--part', Math.round(100 * sum.done / sum.all) + '%')
    return b
  }

  // calendar draws blocks of squares; arrow keys move between them, Enter opens one.
  const calendar = (list, zone) => {
    const [level, all] = squares(list), box = el('div', { class: 'blocks ' + level })
    const foldable = all.some(s => s.inner.length > 1)
    const heads = { day: asMonth, hour: asDay }
    let title = '', grid
    for (const s of all) {
      const at = s.inner[0].at, head = (heads[level] || (t => String(new Date(t * 1000).getUTCFullYear())))(at)
      if (head !== title) {
        title = head
        grid = el('div', { class: 'grid' })
          box.append(el('div', { class: 'block', role: 'group', 'aria-label': head }, el('h3', { text: head }), grid))
      }
      const b = square(level, s, foldable)
      if (level === 'day') b.style.gridColumn = (new Date(at * 1000).getUTCDay() + 6) % 7 + 1
      grid.append(b)
    }
    const buttons = [...box.querySelectorAll('button')]
    const start = buttons.find(b => b.dataset.k === keys.focus) || buttons[0]
    if (start) start.tabIndex = 0
    box.addEventListener('keydown', e => {
      const i = buttons.indexOf(e.target), row = level === 'day' ? 7 : 1
      const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: row, ArrowUp: -row, Home: -i, End: buttons.length - 1 - i }[e.key]
      const next = step !== undefined && buttons[Math.max(0, Math.min(buttons.length - 1, i + step))]
      if (!next) return
      e.preventDefault()
      e.target.tabIndex = -1
      next.tabIndex = 0
      next.focus()
      keys.focus = next.dataset.k
    })
    if (foldable) {
      box.addEventListener('click', e => {
        const k = e.target.dataset.k
        if (!k) return
        keys.opened = keys.opened === k ? '' : k
        keys.focus = k
        draw()
      })
    }
    const opened = foldable && all.find(s => s.k === keys.opened)
    return [box, opened && inside(opened), table(list, zone)]
  }

  // inside draws the windows of one day.
  const inside = s => el('section', { class: 'inside' },
    el('h3', { text: asDay(s.inner[0].at) + ': ' + counts(summary(s.inner).by) }),
    el('ol', {}, s.inner.map(c => el('li', {}, el('span', { class: 'sq ' + NAMES[c.state] }), ' ' + asClock(c.at),
      el('span', { class: 'sr', text: ' ' + NAMES[c.state] })))))

  // table says the same as the calendar in words, once it is opened: a row for windows in a row with one state.
  const table = (list, zone) => {
    const box = el('div'), head = ['From', 'To (' + zone + ')', 'State', 'Windows']
    const fill = () => {
      if (!details.open || box.firstChild) return
      const rows = []
      for (const c of list) {
        const last = rows.at(-1)
        if (last && last.state === c.state) [last.end, last.windows] = [c.end, last.windows + c.windows]
        else rows.push({ ...c })
      }
      const cells = r => [asTime(r.at), asTime(r.end), NAMES[r.state], number(r.windows)].map(text => el('td', { text }))
      box.append(el('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Windows by state' }, el('table', {},
        el('thead', {}, el('tr', {}, head.map(text => el('th', { scope: 'col', text })))),
        el('tbody', {}, rows.slice(0, 200).map(r => el('tr', {}, cells(r)))))))
      if (rows.length > 200) box.append(el('p', { text: 'The first 200 of ' + number(rows.length) + ' rows.' }))
    }
    const details = el('details', { ontoggle: () => { keys.table = details.open; fill() } }, el('summary', { text: 'As a table' }), box)
    details.open = keys.table
    fill()
    return details
  }

  const legend = by => el('ul', { class: 'legend' }, [...WORST].reverse().filter(s => by[s]).map(s =>
    el('li', {}, el('span', { class: 'sq ' + NAMES[s] }), ' ' + number(by[s]) + ' ' + NAMES[s])))

  const chart = r => {
    const most = Math.max(...r.rows), name = i => {
      const d = new Date(r.first.length > 7 ? r.first : r.first + '-01')
      r.by === 'month' ? d.setUTCMonth(d.getUTCMonth() + i) : d.setUTCDate(d.getUTCDate() + i)
      return (r.by === 'month' ? asMonth : asDay)(d / 1000)
    }
    const n = r.rows.length, gap = n > 120 ? 0 : 0.15, top = r.rows.indexOf(most)
    const d = r.rows.map((v, i) => v ? `M${i + gap} 40V${(40 - Math.max(0.6, 40 * v / most)).toFixed(2)}H${i + 1 - gap}V40z` : '').join('')
    const svg = el('svg', {
      viewBox: `0 0 ${Math.max(n, 7)} 40`, preserveAspectRatio: 'none', role: 'img',
      'aria-label': `Rows a ${r.by}, ${name(0)} to ${name(n - 1)}; most on ${name(top)}: ${number(most)}`,
    }, el('path', { d }))
    return el('section', {}, el('h2', { text: 'Rows a ' + r.by }), svg,
      el('p', { class: 'axis' }, el('span', { text: name(0) }), el('span', { text: 'most: ' + number(most) + ', ' + name(top) }),
        el('span', { text: n > 1 ? name(n - 1) : '' })))
  }

  const PILLS = { complete: '✓ ', current: '✓ ', failed: '✕ ', partial: '✕ ', failing: '✕ ', paused: '❚❚ ' }
  const pill = i => el('span', { class: 'pill ' + ({ '✓ ': 'good', '✕ ': 'bad' }[PILLS[i.state]] || ''), text: (PILLS[i.state] || '') + plain(i.state) })
  const key = i => i.sync_id || i.bulk_id
  const progress = i => {
    const w = i.windows && !Array.isArray(i.windows) ? i.windows : null, c = i.chunks || {}
    return w ? { done: w.stored, all: w.over - (w.left_out || 0), failed: w.failed || 0 }
      : { done: c.stored || 0, all: c.all || 0, failed: (c.failed || 0) + (c.missing || 0) }
  }
  const bar = i => {
    const p = progress(i), percent = p.all ? Math.floor(1000 * p.done / p.all) / 10 : 0
    const fill = el('div', { class: 'fill' })
    fill.style.width = percent + '%'
    return el('div', {
      class: 'bar', role: 'progressbar', 'aria-valuenow': percent, 'aria-valuemin': 0, 'aria-valuemax': 100,
      'aria-label': clip(i.name, 80) + ': windows stored',
    }, fill)
  }
  const facts = i => {
    const zone = ' (' + clip(plain(i.export && i.export.timezone || 'UTC'), 40) + ')'
    const p = progress(i), list = [number(p.done) + ' of ' + many(p.all, 'window')]
    if (i.rows) list.push(many(i.rows, 'row'))
    if (i.bytes) list.push(size(i.bytes))
    if (i.eta) list.push('done about ' + written(i.eta, zone))
    if (i.complete_until) list.push('complete until ' + written(i.complete_until, zone))
    if (i.next_run) list.push('next run ' + written(i.next_run, zone))
    return list.join(' · ')
  }

  // advice says what can be done about the problems of an item.
  const advice = i => {
    const p = progress(i), buttons = may(i).length
    if (p.failed) return 'Retry failed exports ' + (p.failed === 1 ? 'this window' : 'these windows') + ' again' + (buttons ? '.' : '; ask the assistant for it.')
    if (i.state === 'paused') return 'Resume continues the export. Stored files stay.'
    return i.state === 'running' || i.state === 'behind' ? 'It is retried automatically.' : ''
  }
  const problems = i => {
    const list = (i.problems || []).filter(p => p.problem !== 'Paused on request.')
    if (!list.length) return null
    return el('section', {}, el('h2', { text: many(list.length, 'problem') }), el('ul', { class: 'problems' }, list.slice(0, 20).map(p =>
      el('li', {}, p.start ? el('strong', { text: written(p.start) + ' to ' + written(p.end) + ' ' }) : null,
        el('span', { text: plain(p.problem) })))),
    list.length > 20 ? el('p', { text: 'And ' + number(list.length - 20) + ' more.' }) : null, el('p', { class: 'advice', text: advice(i) }))
  }

  const LABELS = { pause: 'Pause', resume: 'Resume', retry: 'Retry failed' }
  const may = i => {
    const can = data.can || []
    return Object.keys(LABELS).filter(a => can.includes(a) && actions.act && (a === 'retry' ? progress(i).failed > 0 && i.state !== 'cancelled'
      : a === 'pause' ? ['running', 'current', 'behind', 'failing'].includes(i.state) : i.state === 'paused'))
  }
  const say = text => { root.querySelector('[role=status]').textContent = said = plain(text) }
  const run = async (button, text, work) => {
    button.disabled = true
    say(text + ' …')
    try {
      const next = await work()
      said = ''
      if (next) show(next)
      say(text + ': done.')
    } catch (e) { say(text + ': ' + (e && e.message || 'it failed.')) } finally { button.disabled = false }
  }

  const one = i => {
    const c = (data.calendars || {})[i.bulk_id], list = c ? cells(c) : [], e = i.export || {}
    return [
      el('header', {},
        data.items.length > 1 ? el('button', { type: 'button', class: 'link', 'data-k': 'back', text: '‹ All', onclick: () => { chosen = ''; draw() } }) : null,
        el('h1', { title: clip(i.name, 200), dir: 'auto', text: clip(i.name, 120) }), pill(i),
        el('div', { class: 'actions' }, may(i).map(a => el('button', {
          type: 'button', class: 'act', 'data-k': a, text: LABELS[a], onclick: x => run(x.target, LABELS[a], () => actions.act(i, a)),
        })))),
      e.segment_name || e.segment_id ? el('p', { class: 'about' }, el('bdi', { text: clip(e.segment_name || e.segment_id, 120) }),
        ' · ' + [e.rows, e.format, e.timezone].filter(Boolean).map(t => clip(plain(t), 60).replace('FORMAT_', '')).join(' · ') +
        (data.simulated ? ' · simulated data' : '')) : null,
      el('div', { class: 'now' }, el('strong', { text: Math.floor(100 * progress(i).done / Math.max(1, progress(i).all)) + '%' }), bar(i)),
      el('p', { class: 'facts', text: facts(i) }),
      problems(i),
      list.length ? el('section', {}, el('h2', { text: 'Windows' }), legend(summary(list).by), calendar(list, clip(plain(c.timezone), 40))) : null,
      c && c.rows ? chart(c.rows) : null,
    ]
  }
  const several = () => [
    el('h1', { text: plain(data.title) || (data.items.length ? 'Exports' : 'No exports yet') }),
    el('ul', { class: 'list' }, data.items.map(i => el('li', {}, el('button', {
      type: 'button', class: 'row', 'data-k': key(i), onclick: () => { chosen = key(i); draw(); if (actions.open) actions.open(i) },
    }, el('bdi', { class: 'name', text: clip(i.name, 80) }), pill(i), el('span', { class: 'facts', text: facts(i) })), bar(i)))),
  ]

  const draw = () => {
    const focused = root.contains(document.activeElement) && document.activeElement.dataset.k
    const i = data.items.length === 1 ? data.items[0] : data.items.find(i => key(i) === chosen)
    root.replaceChildren(...(i ? one(i) : several()).flat().filter(Boolean), el('p', { role: 'status', class: 'status', text: said }))
    if (focused) [...root.querySelectorAll('[data-k]')].find(e => e.dataset.k === focused)?.focus()
  }
  const show = next => {
    const text = JSON.stringify(next)
    if (text === drawn) return
    drawn = text
    data = next
    draw()
  }
  return { show, say, moving: i => ['running', 'behind'].includes(i.state), shown: () => data }
}
