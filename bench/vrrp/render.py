"""A node's file for a speaker under measurement, out of its neutral roles."""
import json


def render(roles, directory):
    routers = []
    for role in roles:
        for addresses in (role["vips4"], role["vips6"]):
            if not addresses:
                continue
            routers.append({
                "interface": role["ifname"],
                "vrid": role["vrid"],
                "priority": role["priority"],
                "interval": "%dms" % (role["adv_cs"] * 10),
                "addresses": addresses,
                "preempt": role["preempt"],
                "virtual-mac": role["vmac"],
            })
    # JSON is YAML.
    return json.dumps({"node": "speaker", "vrrp": routers}, indent=1)
