import type { z } from 'zod'
import type { windowSettings } from '../telemetry/settings.js'

/** Is this local time (Unix ms) in the window? Over midnight where `from` is later than `to`; empty where both are equal. */
export function inWindow(window: z.infer<typeof windowSettings>, wall: number): boolean {
  const date = new Date(wall)
  const minute = date.getHours() * 60 + date.getMinutes()
  const [from, to] = [minutes(window.from), minutes(window.to)]
  return from <= to ? minute >= from && minute < to : minute >= from || minute < to
}

function minutes(hour: string): number {
  const [h, m] = hour.split(':').map(Number)
  return (h ?? 0) * 60 + (m ?? 0)
}
