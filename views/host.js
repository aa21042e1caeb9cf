// Connects the view to a host of MCP Apps: JSON-RPC by postMessage, protocol 2026-01-26.
'use strict'
{
  const KEY = 'fullstory-export-mcp/view', TOOLS = { pause: 'pause', resume: 'resume', retry: 'retry_failed' }
  const waiting = new Map()
  let last = 0, tools = false, timer = 0

  const post = message => parent.postMessage({ jsonrpc: '2.0', ...message }, '*')
  const ask = (method, params) => new Promise((resolve, reject) => {
    waiting.set(++last, { resolve, reject })
    post({ id: last, method, params })
  })
  const call = async (name, args) => {
    const r = await ask('tools/call', { name, arguments: args })
    if (r.isError) throw new Error((r.content || []).map(c => c.text).join(' '))
    return take(r)
  }
  const target = i => i.sync_id ? ['list_syncs', { name: i.name }] : ['get_bulk_export', { bulk_id: i.bulk_id, detail: 'problems' }]
  const act = (i, action) => i.sync_id && action !== 'retry' ? call('sync_export', { action, name: i.name })
    : call('control_bulk_export', { bulk_id: i.bulk_id, action: TOOLS[action] })
  const open = i => tools && call(...target(i)).then(merge, e => view.say(e.message))

  // take returns what a result shows: the server puts it into _meta.
  const take = r => {
    if (r._meta && r._meta[KEY]) return r._meta[KEY]
    const s = r.structuredContent || {}
    const items = s.bulks || s.syncs || (s.state ? [s] : [])
    return { items, title: items.length ? '' : s.summary }
  }
  // merge shows new data of one item beside the others.
  const merge = next => {
    const now = view.shown(), [n] = next.items, id = i => i.sync_id || i.bulk_id
    const has = n && now.items.some(i => id(i) === id(n))
    view.show(has ? {
      ...now, ...next, items: now.items.map(i => id(i) === id(n) ? n : i), calendars: { ...now.calendars, ...next.calendars },
    } : next)
  }
  const actions = { open }
  const view = FullstoryView(document.querySelector('main'), actions)
  const refresh = () => {
    clearTimeout(timer)
    timer = setTimeout(async () => {
      const live = view.shown().items.filter(view.moving).slice(0, 5)
      if (!document.hidden) for (const i of live) await Promise.resolve(open(i))
      refresh()
    }, 3000)
  }
  const theme = c => {
    if (c.theme) document.documentElement.style.colorScheme = c.theme
    for (const [k, v] of Object.entries(c.styles?.variables || {})) if (v) document.documentElement.style.setProperty(k, v)
  }

  addEventListener('message', e => {
    const m = e.data
    if (e.source !== parent || !m || m.jsonrpc !== '2.0') return
    if (m.method === 'ui/notifications/tool-result') m.params.isError ? view.say(m.params.content?.[0]?.text) : view.show(take(m.params))
    else if (m.method === 'ui/notifications/host-context-changed') theme(m.params)
    else if (m.id !== undefined && m.method === 'ui/resource-teardown') clearTimeout(timer), post({ id: m.id, result: {} })
    else if (m.id !== undefined && m.method === 'ping') post({ id: m.id, result: {} })
    else if (m.id !== undefined && m.method) post({ id: m.id, error: { code: -32601, message: 'Unknown method.' } })
    else if (waiting.has(m.id)) {
      const { resolve, reject } = waiting.get(m.id)
      waiting.delete(m.id)
      m.error ? reject(new Error(m.error.message)) : resolve(m.result)
    }
  })
  ask('ui/initialize', {
    protocolVersion: '2026-01-26', appInfo: { name: 'fullstory-export-mcp', version: '1' }, appCapabilities: {},
  }).then(r => {
    tools = !!r.hostCapabilities?.serverTools
    if (tools) actions.act = act
    theme(r.hostContext || {})
    post({ method: 'ui/notifications/initialized', params: {} })
    let sent = 0
    new ResizeObserver(() => {
      const height = Math.ceil(document.documentElement.getBoundingClientRect().height)
      if (height !== sent) post({ method: 'ui/notifications/size-changed', params: { height: sent = height } })
    }).observe(document.body)
    if (tools) refresh()
  })
}
