import { withoutOpencv } from './kit.js'
import { networkCameraTests } from './network-camera.js'

networkCameraTests('opencv', withoutOpencv())
