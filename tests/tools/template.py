"""The template as it is deployed: infra/template.yaml -> JSON of what each function may do, for one set of parameters.

SAM's own translator writes the roles; this resolves conditions, Ref, GetAtt and Sub with values such as CloudFormation would
put there, so that a test can ask whether a call is allowed. Usage: template.py NAME=VALUE... where a name is a parameter or a resource, whose physical name is the value; prints JSON:
{"functions": {"ingest-logs": [statement, ...]}, "groups": [names of our log groups], "left_out": [names that the account
subscription leaves out]}. There is deliberately no decision here.
"""

import json
import re
import sys
from pathlib import Path

from samcli.yamlhelper import yaml_parse
from samtranslator.translator.transform import transform

ROOT = Path(__file__).resolve().parent.parent.parent
STACK, REGION, ACCOUNT = "outflow", "eu-west-1", "123456789012"
PSEUDO = {
    "AWS::StackName": STACK,
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::NoValue": None,
}


class NoPolicies:
    def load(self):
        return {}


def main():
    template = yaml_parse((ROOT / "infra/template.yaml").read_text())
    parameters = {name: p["Default"] for name, p in template["Parameters"].items()}
    given = dict(pair.split("=", 1) for pair in sys.argv[1:])
    parameters.update((name, value) for name, value in given.items() if name in parameters)
    # Loops are CloudFormation's, and no loop of ours gives a permission.
    template["Resources"] = {name: r for name, r in template["Resources"].items() if not name.startswith("Fn::")}
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Serverless::Function":
            properties["CodeUri"] = "s3://bucket/key"
    translated = transform(template, parameters, NoPolicies())
    print(json.dumps(Resolver(translated, parameters, given).told(), indent=1, sort_keys=True))


class Resolver:
    def __init__(self, template, parameters, names):
        self.names = names
        self.resources = template["Resources"]
        self.conditions = template.get("Conditions", {})
        self.parameters = parameters

    def told(self):
        functions, groups, left_out = {}, [], []
        for name, resource in self.resources.items():
            if not self.exists(resource):
                continue
            properties = self.value(resource.get("Properties", {}))
            if resource["Type"] == "AWS::Lambda::Function":
                role = resource["Properties"]["Role"]["Fn::GetAtt"][0]
                functions[properties["FunctionName"].removeprefix(STACK + "-")] = self.statements(role)
            elif resource["Type"] == "AWS::Logs::LogGroup":
                groups.append(properties["LogGroupName"])
            elif resource["Type"] == "AWS::Logs::AccountPolicy":
                left_out += re.findall(r'"([^"]+)"', properties["SelectionCriteria"])
        return {"functions": functions, "groups": sorted(groups), "left_out": sorted(left_out)}

    def statements(self, role):
        properties = self.value(self.resources[role]["Properties"])
        managed = [{"Effect": "Allow", "Managed": arn} for arn in properties.get("ManagedPolicyArns", [])]
        return managed + [s for policy in properties.get("Policies", []) for s in policy["PolicyDocument"]["Statement"]]

    def exists(self, resource):
        return "Condition" not in resource or self.condition(resource["Condition"])

    def condition(self, name):
        return self.truth(self.conditions[name])

    def truth(self, rule):
        (kind, operands), = rule.items()
        if kind == "Fn::Equals":
            left, right = map(self.value, operands)
            return str(left) == str(right)
        if kind == "Condition":
            return self.condition(operands)
        truths = [self.truth(operand) for operand in operands]
        return {"Fn::Not": not truths[0], "Fn::And": all(truths), "Fn::Or": any(truths)}[kind]

    def value(self, node):
        if isinstance(node, list):
            return [v for v in map(self.value, node) if v is not None]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            (kind, operand), = node.items()
            if kind == "Ref":
                return self.ref(operand)
            if kind == "Fn::GetAtt":
                logical, attribute = operand if isinstance(operand, list) else operand.split(".", 1)
                return self.attribute(logical, attribute)
            if kind == "Fn::Sub":
                text = operand if isinstance(operand, str) else operand[0]
                return re.sub(r"\$\{([^}]+)\}", lambda m: str(self.named(m[1])), text)
            if kind == "Fn::If":
                return self.value(operand[1] if self.condition(operand[0]) else operand[2])
            if kind == "Fn::Join":
                return operand[0].join(map(str, self.value(operand[1])))
            if kind == "Fn::ToJsonString":
                return json.dumps(self.value(operand))
        return {key: v for key, v in ((k, self.value(n)) for k, n in node.items()) if v is not None}

    def named(self, name):
        return self.attribute(*name.split(".", 1)) if "." in name else self.ref(name)

    def ref(self, name):
        if name in PSEUDO:
            return PSEUDO[name]
        if name in self.parameters:
            return self.parameters[name]
        kind = self.resources[name]["Type"]
        if kind == "AWS::SNS::Topic":
            return self.attribute(name, "Arn")
        return self.physical(name)

    def physical(self, name):
        stated = self.value(self.resources[name].get("Properties", {}).get("LogGroupName"))
        return self.names.get(name) or stated or f"{STACK}-{name}"

    def attribute(self, name, attribute):
        kind = self.resources[name]["Type"]
        if not attribute.endswith("Arn"):
            return self.physical(name)
        service, prefix = {
            "AWS::DynamoDB::Table": ("dynamodb", "table/"),
            "AWS::SNS::Topic": ("sns", ""),
            "AWS::SQS::Queue": ("sqs", ""),
            "AWS::Kinesis::Stream": ("kinesis", "stream/"),
            "AWS::Lambda::Function": ("lambda", "function:"),
            "AWS::IAM::Role": ("iam", "role/"),
            "AWS::Events::Rule": ("events", "rule/"),
            "AWS::Logs::LogGroup": ("logs", "log-group:"),
            "AWS::S3::Bucket": ("s3", ""),
        }[kind]
        if service == "s3":
            return f"arn:aws:s3:::{self.physical(name).lower()}"
        return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{prefix}{self.physical(name)}" + (":*" if service == "logs" else "")


main()
