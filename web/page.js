// Keeps the view of a page up to date: events of the server say what changed.
'use strict'
{
  const root = document.getElementById('view'), { source, token } = root.dataset, base = root.dataset.root
  const at = i => i.sync_id ? base + 'sync/' + encodeURIComponent(i.name) : base + 'bulk/' + encodeURIComponent(i.bulk_id)
  let stream, timer, list = false

  const ask = async (path, options) => {
    const r = await fetch(path, { ...options, headers: { Accept: 'application/json', ...options?.headers }, redirect: 'error' })
    if (r.status === 401) location.reload()
    const answer = await r.json().catch(() => ({}))
    if (!r.ok) throw new Error(answer.error || 'The server answered ' + r.status + '.')
    return answer
  }
  const view = FullstoryView(root, {
    act: async (i, action) => {
      const next = await ask(at(i) + '/' + action, { method: 'POST', headers: { 'X-Form-Token': token } })
      return list ? ask(source + 'data') : next
    },
    open: i => { location.href = at(i) },
  })
  const show = data => {
    list = source === base
    if (data.items.length) view.show(data)
  }
  const close = () => {
    clearTimeout(timer)
    stream?.close()
    stream = undefined
  }
  // After a stream that the server ended for good, one request finds out why.
  const later = () => {
    close()
    timer = setTimeout(() => ask(source + 'data').then(data => { show(data); open() }, e => {
      if (view.shown().items.length) view.say(e.message)
      later()
    }), 5000)
  }
  const open = () => {
    if (stream || document.hidden) return
    stream = new EventSource(source + 'events')
    stream.onmessage = e => show(JSON.parse(e.data))
    stream.addEventListener('end', () => location.reload())
    stream.addEventListener('problem', later)
    stream.onerror = () => stream?.readyState === EventSource.CLOSED && later()
  }
  // A page that nobody looks at holds no connection: browsers have six for a server.
  document.addEventListener('visibilitychange', () => document.hidden ? close() : open())
  addEventListener('pagehide', close)
  addEventListener('pageshow', open)
  open()
}
