"""The page at ``/docs``: a script that shows ``openapi.json``, every operation of it, with nothing from elsewhere."""

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Waybill API</title>
<meta name="viewport" content="width=device-width">
<style>
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
summary{cursor:pointer;padding:.3rem 0}code,pre{font:14px ui-monospace,monospace}
pre{background:#f5f5f5;padding:.8rem;overflow:auto}b{display:inline-block;width:5rem}i{color:#666}
</style></head><body><h1>Waybill API</h1><p id="state">Loading…</p><main></main>
<script>
const text=(tag,words,into)=>{const e=document.createElement(tag);e.textContent=words;into.append(e);return e};
fetch(location.href.replace(/docs\\/?$/,"openapi.json")).then(r=>r.json()).then(api=>{
  document.getElementById("state").textContent=api.info.description;
  const main=document.querySelector("main"),named=api.components.schemas;
  const flat=(s,depth)=>{
    if(s&&s.$ref&&depth>0)return flat(named[s.$ref.split("/").pop()],depth-1);
    if(Array.isArray(s))return s.map(x=>flat(x,depth));
    if(s&&typeof s==="object")return Object.fromEntries(Object.entries(s).map(([k,v])=>[k,flat(v,depth)]));
    return s};
  for(const [path,methods] of Object.entries(api.paths))for(const [method,op] of Object.entries(methods)){
    const box=document.createElement("details");main.append(box);
    const head=document.createElement("summary");box.append(head);
    text("b",method.toUpperCase(),head);text("code",path,head);text("span"," "+op.summary+" ",head);
    if(op["x-scope"])text("i","scope "+op["x-scope"],head);
    const shapes=(name,content)=>{for(const [type,body] of Object.entries(content||{})){
      text("h4",name+" "+type,box);
      text("pre",JSON.stringify(flat(body["x-line"]||body.schema||{},3),null,2),box)}};
    if(op.parameters&&op.parameters.length){text("h4","Parameters",box);
      text("pre",op.parameters.map(p=>p.in+" "+p.name+(p.required?" (required)":"")).join("\\n"),box)}
    shapes("Body",op.requestBody&&op.requestBody.content);
    for(const [status,answer] of Object.entries(op.responses)){
      text("h4",status+" "+answer.description,box);
      shapes("Answer",answer.content)}
  }
}).catch(()=>{document.getElementById("state").textContent="openapi.json could not be read."});
</script></body></html>
"""
