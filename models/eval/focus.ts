/** The intents that the first bundle learns best, as FOCUS in models/train/parley_train/teach.py. The card reports them beside all. */
export const FOCUS: readonly string[] = [
  'place.where', 'item.price', 'hours.all', 'hours.open', 'hours.close', 'wifi.password',
  'move.forward', 'move.forward.n', 'move.back', 'move.back.n', 'turn.left', 'turn.right', 'turn.around',
  'look.up', 'look.down', 'look.left', 'look.right',
  'volume.up', 'volume.down', 'volume.mute', 'volume.unmute',
  'stop', 'come', 'goto', 'call_staff', 'show', 'order.one', 'order.several', 'cancel',
  'sensor.battery', 'sensor.temperature',
  'chat.hello', 'chat.thanks', 'chat.name', 'chat.goodbye', 'chat.how_are_you', 'decline.weather',
]
