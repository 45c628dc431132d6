"""Checks a discovery document on the standard input with Home Assistant's own schemas, as its MQTT integration does."""
import asyncio
import json
import sys
import tempfile

from homeassistant.components.mqtt import binary_sensor, schemas, sensor
from homeassistant.core import HomeAssistant

PLATFORMS = {"sensor": sensor, "binary_sensor": binary_sensor}


async def check(document: dict) -> int:
    HomeAssistant(tempfile.mkdtemp())  # templates are parsed within one
    schemas.DEVICE_DISCOVERY_SCHEMA(document)
    shared = {key: document[key] for key in ("availability_topic", "state_topic", "qos", "device", "origin")}
    for component in document["components"].values():
        own = {key: value for key, value in component.items() if key != "platform"}
        PLATFORMS[component["platform"]].DISCOVERY_SCHEMA({**own, **shared})
    return len(document["components"])


print(asyncio.run(check(json.load(sys.stdin))))
