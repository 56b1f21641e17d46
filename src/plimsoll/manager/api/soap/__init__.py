"""SOAP on 4119 (`/webservice/Manager`): operations and types are declared once, and WSDL and code come from them."""
