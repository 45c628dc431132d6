import { networkCameraTests } from './network-camera.js'

networkCameraTests('ffmpeg', false)
